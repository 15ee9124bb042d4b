"""MMoE: gates that choose one expert, whose parameters are whose, and bad settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.bodies import X, changed, encoder, made, moved_by

EXPERT = nets.MLP((4,), batch_norm=True)
TRUNK = nets.MMoE(EXPERT, experts=3)


def alone(params, stats, expert):
    variables = {"params": params["shared"][expert], "batch_stats": stats[expert]}
    return EXPERT.apply(variables, X, train=False)


def test_a_gate_that_is_sure_gives_one_expert():
    _, params, stats = made(TRUNK)
    # Inputs are positive: a large column wins the softmax for every example.
    row, height = ({"kernel": jnp.zeros((36, 3)).at[:, expert].set(100.0)} for expert in (0, 2))
    sure = changed(params, "tasks", task_gate_row=row, task_gate_height=height)
    features, _ = encoder(TRUNK)(sure, stats)
    np.testing.assert_allclose(features["row"], alone(params, stats, "expert_0"), atol=1e-6)
    np.testing.assert_allclose(features["height"], alone(params, stats, "expert_2"), atol=1e-6)


def test_gates_weigh_by_the_flattened_input():
    _, params, stats = made(TRUNK)
    features, _ = encoder(TRUNK)(params, stats)
    outputs = np.stack([alone(params, stats, f"expert_{i}") for i in range(3)])
    for task in ("row", "height"):
        kernel = np.asarray(params["tasks"]["own"][f"task_gate_{task}"]["kernel"])
        scores = np.exp(np.asarray(X).reshape(5, -1) @ kernel)
        weights = scores / scores.sum(1, keepdims=True)
        wanted = sum(weights[:, i, None] * outputs[i] for i in range(3))
        np.testing.assert_allclose(features[task], wanted, atol=1e-5)


def test_experts_are_shared_and_differ_and_gates_are_the_tasks():
    _, params, _ = made(TRUNK)
    experts = {"shared/expert_0", "shared/expert_1", "shared/expert_2"}
    assert moved_by(TRUNK, "row") == experts | {"task_gate_row"}
    assert moved_by(TRUNK, "height") == experts | {"task_gate_height"}
    kernels = [params["shared"][f"expert_{i}"]["Dense_0"]["kernel"] for i in (0, 1)]
    assert not np.allclose(*kernels)


def test_only_training_moves_the_statistics_of_every_expert():
    _, params, stats = made(TRUNK)
    jax.tree.map(np.testing.assert_array_equal, encoder(TRUNK)(params, stats)[1], stats)
    _, after = encoder(TRUNK, train=True)(params, stats)
    assert stats.keys() == {"expert_0", "expert_1", "expert_2"}
    pairs = zip(jax.tree.leaves(after), jax.tree.leaves(stats), strict=True)
    assert not any(np.allclose(a, b) for a, b in pairs)


def test_it_convolves_if_its_experts_do():
    assert nets.MMoE(nets.CNN()).convolutional and not nets.MMoE().convolutional


@pytest.mark.parametrize(
    "expert",
    [
        nets.PerTaskTrunk(nets.MLP()),
        nets.MMoE(),
    ],
    ids=str,
)
def test_an_expert_that_is_no_trunk_is_refused(expert):
    with pytest.raises(BadInput, match=r"MMoE\.expert must be a trunk"):
        nets.MMoE(expert)
