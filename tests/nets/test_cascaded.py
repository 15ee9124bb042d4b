"""Cascaded: levels by hand, what higher tasks read, and successive regularisation."""

import functools

import jax
import numpy as np
import pytest

from mtl_jax import nets, transfer
from mtl_jax.core.validation import BadInput
from tests.nets.bodies import X, encoder, made, moved_by

INNER = nets.MLP((4,))
TRUNK = nets.Cascaded(INNER)
CONVOLVED = nets.Cascaded(nets.CNN((3,)))


def test_levels_by_hand():
    _, params, stats = made(TRUNK)
    features, _ = encoder(TRUNK)(params, stats)
    low = INNER.apply({"params": params["shared"]["level_0"]}, X, train=False)
    both = np.concatenate([np.asarray(X).reshape(5, -1), low], 1)
    high = INNER.apply({"params": params["tasks"]["own"]["task_level_1"]}, both, train=False)
    np.testing.assert_allclose(features["row"], low, atol=1e-6)
    np.testing.assert_allclose(features["height"], high, atol=1e-6)


def test_lower_features_are_channels_of_a_convolution():
    _, params, stats = made(CONVOLVED)
    features, _ = encoder(CONVOLVED)(params, stats)
    assert params["shared"]["level_0"]["Conv_0"]["kernel"].shape == (3, 3, 1, 3)
    own = params["tasks"]["own"]["task_level_1"]
    assert own["Conv_0"]["kernel"].shape == (3, 3, 1 + 3, 3)
    planes = np.tile(np.asarray(features["row"])[:, None, None], (1, 6, 6, 1))
    variables = {"params": own, "batch_stats": stats["task_level_1"]}
    high = nets.CNN((3,)).apply(variables, np.concatenate([X, planes], -1), train=False)
    np.testing.assert_allclose(features["height"], high, atol=1e-6)


@pytest.mark.parametrize("trunk", [TRUNK, CONVOLVED], ids=["mlp", "cnn"])
def test_a_low_task_leaves_the_higher_level_alone(trunk):
    assert moved_by(trunk, "row") == {"shared/level_0"}
    assert moved_by(trunk, "height") == {"shared/level_0", "task_level_1"}


def outline(*tasks):
    """Names of shared and of tasks' own parts of a net of some tasks."""
    init = nets.make_model(TRUNK, dict.fromkeys(tasks, 1)).init
    params, _ = jax.eval_shape(functools.partial(init, jax.random.key(0)), X)
    return [*params["shared"]], [*params["tasks"].get("own", {})]


def test_only_the_top_level_belongs_to_a_task():
    assert outline("a", "b", "c") == (["level_0", "level_1"], ["task_level_2"])
    assert outline("a") == (["level_0"], [])


def test_a_stack_of_two_starts_from_a_trained_first_task():
    _, params, _ = made(TRUNK)
    first, _ = jax.jit(nets.make_model(TRUNK, {"row": 3}).init)(jax.random.key(5), X)
    grafted = transfer.restore_params(params, first)
    kernels = [p["shared"]["level_0"]["Dense_0"]["kernel"] for p in (grafted, first, params)]
    np.testing.assert_array_equal(*kernels[:2])
    assert not np.allclose(*kernels[1:])


def test_successive_regularisation_by_hand():
    _, anchor, _ = made(TRUNK)
    _, params, _ = made(TRUNK, seed=7)
    delta = 0.01
    low, before = (jax.tree.leaves(p["shared"]["level_0"]) for p in (params, anchor))
    wanted = delta * sum(np.square(a - b).sum() for a, b in zip(low, before, strict=True))
    value = transfer.L2SP(2 * delta)(params, anchor)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    assert value > 0


def test_it_convolves_if_its_trunk_does():
    assert CONVOLVED.convolutional and not TRUNK.convolutional


def test_what_is_no_trunk_is_refused():
    with pytest.raises(BadInput, match=r"Cascaded\.trunk must be a trunk"):
        nets.Cascaded(nets.PerTaskTrunk(INNER))
