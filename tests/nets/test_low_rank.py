"""LowRank: tasks start alike, a layer of each by hand, and whose parts are whose."""

import numpy as np

from mtl_jax import nets
from tests.nets.bodies import X, changed, encoder, made, moved_by

INNER = nets.MLP((4,))
TRUNK = nets.LowRank(INNER, features=5, rank=2)


def by_hand(params, change):
    """The layer with a kernel that is changed by a matrix."""
    h = np.asarray(INNER.apply({"params": params["shared"]["trunk"]}, X, train=False))
    kernel, bias = (np.asarray(params["shared"]["layer"][name]) for name in ("kernel", "bias"))
    return np.maximum(h @ (kernel + change) + bias, 0.0)


def test_tasks_start_with_the_shared_layer():
    _, params, stats = made(TRUNK)
    features, _ = encoder(TRUNK)(params, stats)
    for task in ("row", "height"):
        np.testing.assert_allclose(features[task], by_hand(params, 0.0), atol=1e-6)
    assert (features["row"] > 0).any()


def test_a_task_has_a_kernel_of_its_own():
    _, params, stats = made(TRUNK)
    a = np.asarray(params["tasks"]["own"]["task_a_row"])
    b = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    features, _ = encoder(TRUNK)(changed(params, "tasks", task_b_row=b), stats)
    assert a.shape == (4, 2)
    np.testing.assert_allclose(features["row"], by_hand(params, a @ b), atol=1e-5)
    np.testing.assert_allclose(features["height"], by_hand(params, 0.0), atol=1e-6)


def test_only_a_tasks_own_b_learns_at_first():
    # A has no gradient while B is 0; B, over a random A, starts it.
    for task in ("row", "height"):
        assert moved_by(TRUNK, task) == {"shared/trunk", "shared/layer", f"task_b_{task}"}
    own = made(TRUNK)[1]["tasks"]["own"]
    assert (own["task_a_height"] != 0).all() and (own["task_b_height"] == 0).all()
    assert not np.allclose(own["task_a_row"], own["task_a_height"])


def test_it_convolves_if_its_trunk_does():
    assert nets.LowRank(nets.CNN()).convolutional and not nets.LowRank().convolutional
