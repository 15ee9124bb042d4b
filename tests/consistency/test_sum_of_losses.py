"""SumOfLosses: each method is as alone, their losses add up, and a run has them all."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import transfer
from mtl_jax.consistency import (
    CoMatch,
    FixMatch,
    MeanTeacher,
    MixMatch,
    NoisyStudent,
    ReMixMatch,
    SumOfLosses,
)
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import SeparatePass, TeacherView
from mtl_jax.losses import cross_entropy
from tests.consistency.seen import C, N
from tests.small import ROW, UNLABELLED
from tests.transfer.sights import RUNS, begun, felt, trained

SIZES = DatasetSizes(C, N, N)
PARTS = (
    FixMatch(0.5, weight=2.0),
    CoMatch(memory=8),
    transfer.BehavioralRegularization(0.3),
    transfer.LwF(3, weight=0.5),
)
ALL = SumOfLosses(PARTS)


def alone(sight, place, method):
    """What a method of `ALL` would see by itself."""
    heads = {name: sight.heads[f"{place}.{name}"] for name in own_heads(method)}
    return sight._replace(heads=heads, key=jax.random.fold_in(sight.key, place))


def own_heads(method):
    return method.aux_heads(C)


def test_losses_states_and_metrics_are_those_of_each():
    sight, state = felt(ALL, 0), ALL.init(SIZES)
    loss, moved, metrics = jax.jit(ALL.update)(sight, state)
    total = 0.0
    for place, method in enumerate(PARTS):
        own, after, told = jax.jit(method.update)(alone(sight, place, method), state[place])
        total += method.weight * own.mean()
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), moved[place], after)
        for name, value in {**told, "unlabelled_loss": own.mean()}.items():
            np.testing.assert_allclose(metrics[f"{place}.{name}"], value, rtol=1e-5)
    np.testing.assert_allclose(loss, total[None], rtol=1e-5)
    rates = [metrics["0.mask_rate"], metrics["1.mask_rate"]]
    np.testing.assert_allclose(metrics["mask_rate"], np.mean(rates), rtol=1e-6)
    assert ALL.weight == 1.0


def test_what_it_asks_for_is_the_union():
    assert ALL.views == (
        "labelled", "weak", "strong", "strong2", SeparatePass(("labelled",), model="source"),
    )  # fmt: skip
    assert ALL.aux_heads(C) == {"1.projection": AuxHead(64, 1), "3.old": AuxHead(3)}
    assert ALL.needs_feature_maps and not SumOfLosses((FixMatch(),)).needs_feature_maps
    assert SumOfLosses((MixMatch(),)).views == MixMatch().views  # No labelled view besides.


def test_the_labelled_loss_is_the_task_s_or_the_one_method_s():
    sight = felt(ALL, 1)
    found = ALL.labelled_loss(sight, cross_entropy, ALL.init(SIZES))
    there = sight.mask
    each = cross_entropy(sight.outputs("labelled")[there], sight.labels[there])
    np.testing.assert_allclose(found, each.mean(), rtol=1e-5)
    both = SumOfLosses((FixMatch(), MixMatch()))
    sight, state = felt(both, 1), both.init(SIZES)
    own = sight._replace(key=jax.random.fold_in(sight.key, 1))
    np.testing.assert_allclose(
        both.labelled_loss(sight, cross_entropy, state),
        MixMatch().labelled_loss(own, cross_entropy, state[1]),
        rtol=1e-6,
    )


@dataclasses.dataclass(frozen=True)
class Caller(AuxiliaryLoss):
    """Calls the task's head and one of its own, and draws."""

    weight = 1.0
    views = ("weak",)

    def init(self, sizes):
        return ()

    def update(self, views, state):
        x = jnp.ones((1, 1))
        drawn = jax.random.normal(views.key, (1,))
        return (
            views.apply_head("", x)[0],
            state,
            {"own": views.apply_head("mine", x)[0, 0], "drawn": drawn[0]},
        )


def test_heads_that_are_called_and_keys_are_of_each():
    def call(name, x):
        return x * {"": 1.0, "0.mine": 2.0, "1.mine": 3.0, "2.1.mine": 4.0}[name]

    pair = SumOfLosses((Caller(), Caller()))
    sight = felt(pair, 0)._replace(head_fn=call)
    _, _, metrics = pair.update(sight, pair.init(SIZES))
    assert [float(metrics[f"{place}.own"]) for place in (0, 1)] == [2.0, 3.0]
    assert metrics["0.drawn"] != metrics["1.drawn"]
    nested = SumOfLosses((Caller(), Caller(), SumOfLosses((FixMatch(), Caller()))))
    sight = felt(nested, 0)._replace(head_fn=functools.partial(call))
    with pytest.raises(KeyError, match="2\\.0\\.mine"):
        SumOfLosses((Caller(), Caller(), pair)).update(sight, ((), (), ((), ())))
    _, _, metrics = nested.update(sight, nested.init(SIZES))
    assert float(metrics["2.1.own"]) == 4.0


def test_what_is_refused():
    for wrong in ((), FixMatch(), ("FixMatch",)):
        with pytest.raises(BadInput, match=r"SumOfLosses\.methods must be a tuple of methods"):
            SumOfLosses(wrong)
    with pytest.raises(BadInput, match="at most one with a labelled loss"):
        SumOfLosses((MixMatch(), ReMixMatch()))
    with pytest.raises(BadInput, match="the same stored labels"):
        SumOfLosses((NoisyStudent(), transfer.Distillation(1.0, params="raw")))
    same = SumOfLosses((NoisyStudent(), transfer.Distillation(1.0)))
    assert same.views == ("labelled", TeacherView(), "strong", "weak")


@pytest.mark.slow
def test_one_method_together_trains_as_alone():
    run = RUNS.replace(augmentation={"strong": UNLABELLED.augmentation.strong})
    source = begun()
    states = [
        trained(run.replace(tasks=(ROW.replace(auxiliary=method),)), source)[0]
        for method in (MeanTeacher(2.0), SumOfLosses((MeanTeacher(2.0),)))
    ]
    one, two = (jax.tree.leaves((s.params, s.batch_stats)) for s in states)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_a_run_with_unlabelled_images_and_a_source():
    both = SumOfLosses((FixMatch(0.3), transfer.FitNet(1.0)))
    run = RUNS.replace(
        augmentation={"strong": UNLABELLED.augmentation.strong},
        tasks=(ROW.replace(auxiliary=both),),
    )
    state, metrics = trained(run, begun())
    assert state.aux_state["row"][1] == ()
    parts = [metrics[f"{place}.unlabelled_loss/row"] for place in (0, 1)]
    np.testing.assert_allclose(metrics["unlabelled_loss/row"], sum(parts), rtol=1e-5)
    assert (np.asarray(parts) > 0).all()
