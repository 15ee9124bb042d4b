"""IMTL-G: known answers, equal projections, and degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import IMTLG

weigh = jax.jit(lambda gram: IMTLG().weigh_gram(gram, (), jax.random.key(0))[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [0.5923, 0.4077]),  # torchjd 0.18.0, IMTLG.
        ([[2.0, 0.0], [0.0, 1.0]], [1 / 3, 2 / 3]),  # by hand: 1/s each.
        ([[0.0, 0.0], [3.0, 1.0]], [0.0, 1.0]),  # a zero row has no say.
        ([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [0.0, 1 / 3, 2 / 3]),
        ([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0.25, 0.25, 0.5]),  # by hand: duplicates share.
        ([[1.0, 0.0], [-2.0, 0.0]], [-1.0, 2.0]),  # opposed, by hand: the longer wins.
        ([[1.0, 0.0], [-1.0, 0.0]], [0.0, 0.0]),
        ([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0]),
        ([[-3.0]], [1.0]),
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(weigh(rows @ rows.T), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_opposed_gradients_of_one_length_give_zero():
    random = np.random.default_rng(0)
    for _ in range(50):
        one = random.normal(size=30).astype("float32") * np.float32(random.uniform(0.1, 10.0))
        rows = jnp.stack([one, -one])
        found = weigh(jnp.matmul(rows, rows.T, precision="highest"))
        np.testing.assert_array_equal(found, 0.0)


def near(angle, sign, turned=0):
    """Gradients of lengths 2 and 5, so far from parallel (1) or opposed (-1), in no axis."""
    rows = np.array([[2.0, 0.0, 0.0], [sign * 5 * np.cos(angle), 5 * np.sin(angle), 0.0]])
    basis = np.linalg.qr(np.random.default_rng(turned).normal(size=(3, 3)))[0]
    return (rows @ basis).astype("float32")


@pytest.mark.parametrize(
    ("angle", "sign", "length"),
    [
        (0.003, 1, 20 / 7),  # by hand: 1/s each, so 2 s_1 s_2 / (s_1 + s_2).
        (0.0003, 1, 29 / 7),  # by hand: s each, as of duplicates.
        (0.003, -1, 20 / 7 * np.sin(0.0015)),  # by hand: the bisector of unit vectors.
        (0.0003, -1, 29 / 3),  # by hand: weights -2/3 and 5/3, the longer wins.
    ],
)
def test_the_limit_of_float32_near_dependent_gradients(angle, sign, length):
    for turned in range(5):
        rows = near(angle, sign, turned)
        gram = jnp.matmul(rows, rows.T, precision="highest")
        found = np.linalg.norm(np.asarray(weigh(gram), "float64") @ rows)
        np.testing.assert_allclose(found, length, rtol=0.05)


@pytest.mark.parametrize(("seed", "sign"), [(1, 1.0), (0, -1.0)])
def test_projections_are_equal_however_the_lengths_differ(seed, sign):
    """All positive, or all negative where the weights before scaling have a negative sum."""
    rows = np.random.default_rng(seed).normal(size=(4, 9))
    rows *= 10.0 ** np.array([[-5], [0], [2], [5]])
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    weights = weigh(jnp.array(rows @ rows.T, jnp.float32))
    along = sign * units @ (np.asarray(weights, "float64") @ rows)
    assert along[0] > 0.0
    np.testing.assert_allclose(along, along[0], rtol=1e-3)
    np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-6)
