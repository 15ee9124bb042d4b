"""PCGrad: known answers, the order of the visits, and degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import PCGrad
from mtl_jax.aggregation.pcgrad import pcgrad_weights

weigh = jax.jit(lambda gram, key: PCGrad().weigh_gram(gram, (), key)[0])
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [2.2222, 1.5789]),  # torchjd 0.18.0, PCGrad.
        ([[1.0, 0.0], [1.0, 1.0]], [1.0, 1.0]),  # no conflict: the sum.
        ([[0.0, 0.0], [-1.0, 1.0]], [1.0, 1.0]),  # a zero row does nothing.
        ([[1.0, 0.0], [-2.0, 0.0]], [3.0, 1.5]),  # opposed, by hand: (e1 + e2/2) + (e2 + 2 e1).
        ([[0.0, 0.0], [0.0, 0.0]], [1.0, 1.0]),
        ([[-3.0]], [1.0]),
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(weigh(rows @ rows.T, KEY), expected, rtol=1e-4)


def test_agrees_with_surgery_on_the_gradients_themselves():
    random = np.random.default_rng(4)
    rows = random.normal(size=(5, 7))
    rows -= 0.8 * rows.mean(0)
    orders = np.stack([random.permutation(5) for _ in range(5)])
    total = np.zeros(7)
    for task, order in enumerate(orders):
        gradient = rows[task].copy()
        for other in order[order != task]:
            gradient -= min(0.0, gradient @ rows[other]) / (rows[other] @ rows[other]) * rows[other]
        total += gradient
    with jax.enable_x64(True):
        weights = jax.jit(pcgrad_weights)(jnp.array(rows @ rows.T), jnp.array(orders))
    np.testing.assert_allclose(np.asarray(weights) @ rows, total, rtol=1e-9)


def test_each_task_and_step_draws_its_own_order():
    rows = np.random.default_rng(0).normal(size=(4, 4))
    rows -= 0.99 * rows.mean(0)
    gram = jnp.array(rows @ rows.T, jnp.float32)
    keys = jax.random.split(KEY, 64)

    @jax.jit
    @jax.vmap
    def draw(key):
        one_for_all = jnp.tile(jax.random.permutation(key, 4), (4, 1))
        return PCGrad().weigh_gram(gram, (), key)[0], pcgrad_weights(gram, one_for_all)

    drawn, shared = (np.asarray(weights).round(4) for weights in draw(keys))
    assert len(np.unique(drawn, axis=0)) > len(np.unique(shared, axis=0)) > 1
    np.testing.assert_array_equal(drawn, np.asarray(draw(keys)[0]).round(4))


def test_orders_of_another_shape_are_refused():
    with pytest.raises(AssertionError):
        pcgrad_weights(jnp.eye(3), jnp.arange(3))
