"""Nash-MTL: known answers, the length of the step, and degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import NashMTL

weigh = jax.jit(lambda gram: NashMTL().weigh_gram(gram, (), jax.random.key(0))[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [0.5915, 0.4071]),  # torchjd 0.18.0, FairGrad(1).
        ([[2.0, 0.0], [0.0, 0.5]], [0.5, 2.0]),  # by hand: 1 over the lengths.
        ([[3.0, 0.0], [3.0, 0.0]], [1 / np.sqrt(18)] * 2),  # by hand: 9 (w + w) = 1 / w.
        ([[0.0, 0.0], [3.0, 4.0]], [0.0, 0.2]),  # the zero row apart, by hand: 1 / 5.
        ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5]),
        ([[-4.0]], [0.25]),
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(weigh(rows @ rows.T), expected, rtol=2e-4)


def test_the_step_is_of_length_sqrt_k_and_all_gain():
    rows = np.random.default_rng(0).normal(size=(5, 9)) * 10.0 ** np.arange(-2, 3)[:, None]
    weights = np.asarray(weigh(jnp.array(rows @ rows.T, jnp.float32)))
    np.testing.assert_allclose(np.linalg.norm(weights @ rows), np.sqrt(5.0), rtol=1e-5)
    assert (rows @ (weights @ rows) > 0).all()


def test_opposed_gradients_cancel():
    rows = np.array([[1.0, 2.0], [-3.0, -6.0]], np.float32)
    weights = np.asarray(weigh(rows @ rows.T))
    np.testing.assert_allclose(weights[0], 3.0 * weights[1], rtol=1e-5)
    assert np.linalg.norm(weights @ rows) < 0.01
