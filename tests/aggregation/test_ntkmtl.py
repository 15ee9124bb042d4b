"""NTKMTL: known answers, the exponent, and degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import NTKMTL


def weigh(method, rows):
    rows = jnp.array(rows)
    key = jax.random.key(0)
    return jax.jit(lambda gram: method.weigh_gram(gram, (), key)[0])(rows @ rows.T)


@pytest.mark.parametrize(
    ("exponent", "rows", "expected"),
    [
        (0.5, [[3.0, 0.0], [0.0, 4.0]], [5 / 3, 5 / 4]),  # by hand: both of length 5.
        (1.0, [[3.0, 0.0], [0.0, 4.0]], [25 / 9, 25 / 16]),
        (0.75, [[1.0, 0.0], [0.0, 15**0.5]], [8.0, (16 / 15) ** 0.75]),  # by hand: 16^(3/4).
        (0.0, [[3.0, 0.0], [0.0, 4.0]], [1.0, 1.0]),
        (0.5, [[0.0, 0.0], [3.0, 1.0]], [0.0, 1.0]),
        (0.5, [[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0]),
        (0.5, [[-3.0]], [1.0]),
    ],
)
def test_values(exponent, rows, expected):
    np.testing.assert_allclose(weigh(NTKMTL(exponent), rows), expected, rtol=1e-5)


def test_all_gradients_come_to_the_length_of_the_jacobian():
    rows = np.random.default_rng(0).normal(size=(4, 9)) * 10.0 ** np.array([[-8], [0], [2], [5]])
    weights = weigh(NTKMTL(), jnp.array(rows, jnp.float32))
    lengths = np.asarray(weights, "float64") * np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(rows), rtol=1e-5)
