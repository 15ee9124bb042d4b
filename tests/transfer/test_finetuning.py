"""Plans of the literature: which rule every parameter gets, and chains of stages."""

import jax
import pytest

from mtl_jax.config.param_rules import check, rule_of
from mtl_jax.config.run import dependency_order
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput
from mtl_jax.nets import MLP, layer_names, make_model
from mtl_jax.transfer import HEADS, finetuning
from tests.small import RUN

TRUNK = MLP((6, 5, 4), batch_norm=True)
LAYERS = layer_names(TRUNK, (2, 2, 1))
PARAMS = jax.eval_shape(
    lambda: make_model(TRUNK, {"row": 3}).init(jax.random.key(0), jax.numpy.zeros((1, 2, 2, 1)))
)[0]


def trained(plan):
    """The rate of every parameter that is trained."""
    check(PARAMS, plan)
    found = {path: rule_of(plan, path) for path in leaf_paths(PARAMS)}
    return {path: rule.lr_scale for path, rule in found.items() if not rule.frozen}


def test_feature_extraction_trains_heads_alone():
    assert set(trained(finetuning.feature_extraction())) == {
        "tasks/heads/row/bias",
        "tasks/heads/row/kernel",
    }


def test_fine_tuning_has_a_rate_of_the_trunk():
    rates = trained(finetuning.fine_tuning(0.1))
    assert len(rates) == len(leaf_paths(PARAMS))
    assert rates["shared/Dense_1/kernel"] == 0.1 and rates["tasks/heads/row/bias"] == 1.0
    assert rule_of(finetuning.fine_tuning(anchor=0.01), "shared/Dense_0/bias").l2_sp == 0.01


def test_the_last_layers():
    rates = trained(finetuning.last_layers(LAYERS, 2))
    assert {path.split("/")[1] for path in rates if path.startswith("shared")} == {
        "Dense_1",
        "Dense_2",
        "BatchNorm_1",
        "BatchNorm_2",
    }
    assert len(trained(finetuning.last_layers(LAYERS, 3))) == len(leaf_paths(PARAMS))
    with pytest.raises(BadInput, match="count must be from 1 to 3"):
        finetuning.last_layers(LAYERS, 4)


def test_layer_wise_decay_falls_to_the_first_layer():
    rates = trained(finetuning.layer_wise_decay(LAYERS, 0.5))
    assert rates["tasks/heads/row/kernel"] == 1.0
    found = [rates[f"shared/Dense_{i}/kernel"] for i in range(3)]
    assert found == [0.125, 0.25, 0.5]  # by hand
    with pytest.raises(BadInput, match="decay"):
        finetuning.layer_wise_decay(LAYERS, 0.0)


def test_biases_and_norms():
    assert all(path.endswith("bias") or "heads" in path for path in trained(finetuning.bias_only()))
    assert "shared/BatchNorm_0/bias" in trained(finetuning.bias_only())
    norms = {path for path in trained(finetuning.norm_only()) if path.startswith("shared")}
    assert norms == {f"shared/BatchNorm_{i}/{leaf}" for i in range(3) for leaf in ("bias", "scale")}


def test_lp_ft_probes_first_and_takes_the_head_over():
    source = RUN.replace(name="source")
    run = finetuning.lp_ft(RUN.replace(initialization={"init_from": source}), steps=3)
    probe = run.initialization.init_from
    assert (
        probe.name == "hard, probe"
        and probe.steps == 3
        and probe.initialization.init_from == source
    )
    assert (
        probe.param_rules == finetuning.feature_extraction()
        and run.initialization.param_map == HEADS
        and run.param_rules == ()
    )
    assert [one.name for one in dependency_order(run)] == ["source", "hard, probe", "hard"]


def test_stages_want_a_source():
    for chain in (finetuning.lp_ft, lambda run: finetuning.gradual_unfreezing(run, LAYERS, 2)):
        with pytest.raises(BadInput, match="must have a source"):
            chain(RUN)


def test_gradual_unfreezing_is_a_chain_of_stages():
    source = RUN.replace(name="source", trunk=TRUNK)
    run = finetuning.gradual_unfreezing(
        RUN.replace(initialization={"init_from": source}, trunk=TRUNK, steps=9), LAYERS, 2
    )
    stages = dependency_order(run)
    names = ["source", "hard, heads", "hard, 1 of 3", "hard, 2 of 3", "hard"]
    assert [one.name for one in stages] == names
    assert [one.steps for one in stages[1:]] == [2, 2, 2, 9]
    assert [len(trained(one.param_rules)) for one in stages[1:]] == [2, 6, 10, 14]
    rates = trained(run.param_rules)
    assert rates["shared/Dense_2/kernel"] == 1.0
    assert rates["shared/Dense_0/kernel"] == pytest.approx(2.6**-2)
    assert all(one.initialization.param_map == HEADS for one in stages[2:])
