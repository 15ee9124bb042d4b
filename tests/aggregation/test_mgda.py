"""MGDA: known answers, and what it does with degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import MGDA

weigh = jax.jit(lambda gram: MGDA().weigh_gram(gram, (), jax.random.key(0))[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [0.6, 0.4]),  # torchjd 0.18.0, the Jacobian
        # of its tests; by hand too.
        ([[2.0, 0.0], [0.0, 1.0]], [0.2, 0.8]),  # by hand: 1/4 against 1.
        ([[1.0, 0.0], [3.0, 1.0]], [1.0, 0.0]),  # by hand: the short one decides.
        ([[0.0, 0.0], [3.0, 1.0]], [1.0, 0.0]),  # a zero row takes all.
        ([[1.0, 1.0], [-3.0, -3.0]], [0.75, 0.25]),  # opposed: the sum is zero.
        ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5]),
        ([[3.0, -1.0]], [1.0]),
        ([[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]], [0.5, 0.25, 0.25]),  # by hand: zero inside.
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(weigh(rows @ rows.T), expected, rtol=1e-5, atol=1e-7)


def test_duplicated_gradients_share_a_weight():
    rows = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    alone, twice = rows, rows[[0, 1, 2, 2]]
    expected, weights = weigh(alone @ alone.T), weigh(twice @ twice.T)
    np.testing.assert_allclose(weights[2] + weights[3], expected[2], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weights @ twice, expected @ alone, atol=1e-6)
