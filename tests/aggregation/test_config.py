"""ConFIG: known answers, what the length says, and degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import ConFIG

weigh = jax.jit(lambda gram: ConFIG().weigh_gram(gram, (), jax.random.key(0))[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [1.2265, 0.8441]),  # torchjd 0.18.0, ConFIG.
        ([[2.0, 0.0], [0.0, 1.0]], [0.75, 1.5]),  # by hand: u = (1, 1)/sqrt 2, 3/sqrt 2 of it.
        ([[0.0, 0.0], [3.0, 1.0]], [0.0, 1.0]),  # a zero row has no say.
        ([[1.0, 0.0], [1.0, 0.0]], [1.0, 1.0]),  # by hand: duplicates share the sum.
        ([[1.0, 0.0], [-2.0, 0.0]], [0.0, 0.0]),
        ([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0]),
        ([[-3.0]], [1.0]),
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(weigh(rows @ rows.T), expected, rtol=1e-3, atol=1e-6)


def test_it_agrees_with_all_and_is_as_long_as_they_agree():
    rows = np.random.default_rng(0).normal(size=(4, 9)) * 10.0 ** np.array([[-5], [0], [2], [5]])
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    total = np.asarray(weigh(jnp.array(rows @ rows.T, jnp.float32)), "float64") @ rows
    length = np.linalg.norm(total)
    along = units @ total / length
    assert along[0] > 0.0
    np.testing.assert_allclose(along, along[0], rtol=1e-3)
    np.testing.assert_allclose((rows @ total).sum() / length, length, rtol=1e-3)
