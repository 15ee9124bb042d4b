"""Aligned-MTL: known answers, what it makes of the rows, its modes, and degenerate gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import AlignedMTL
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
ROWS = np.diag([1.0, 2.0, 4.0, 6.0]) @ np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]


@functools.cache
def compiled(method):
    return jax.jit(lambda gram: method.weigh_gram(gram, (), KEY)[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [0.5591, 0.4083]),  # torchjd 0.18.0, AlignedMTL.
        ([[2.0, 0.0], [0.0, 1.0]], [0.25, 0.5]),  # by hand: both as long as the shorter.
        ([[0.0, 0.0], [3.0, 1.0]], [0.0, 0.5]),  # a zero row has no say, nor in the scale.
        ([[1.0, 0.0], [1.0, 0.0]], [0.5, 0.5]),  # by hand: one eigenvalue is left.
        ([[1.0, 0.0], [-2.0, 0.0]], [-0.1, 0.2]),  # opposed, by hand: u along (-1, 2)/sqrt 5.
        ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5]),
        ([[-3.0]], [1.0]),
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(
        compiled(AlignedMTL())(rows @ rows.T), expected, rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize(
    ("mode", "length"), [("min", 1.0), ("median", 2.0), ("rmse", np.sqrt(57 / 4))]
)
def test_modes_set_the_length_of_orthogonal_rows(mode, length):
    gram = jnp.array(ROWS @ ROWS.T, jnp.float32)
    weights = compiled(AlignedMTL(scale_mode=mode))(gram)
    expected = 0.25 * length / np.array([1.0, 2.0, 4.0, 6.0])  # by hand.
    np.testing.assert_allclose(weights, expected, rtol=1e-4)


def test_aligned_rows_are_orthogonal_and_as_long_as_the_smallest_singular_value():
    rows = np.random.default_rng(1).normal(size=(3, 5))
    gram = jnp.array(rows @ rows.T, jnp.float32)
    each = [compiled(AlignedMTL(preference=tuple(u)))(gram) for u in np.eye(3).tolist()]
    aligned = np.array(each) @ rows
    smallest = np.linalg.svd(rows)[1][-1]
    np.testing.assert_allclose(aligned @ aligned.T, smallest**2 * np.eye(3), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"preference": (1.0, -1.0)},
            r"AlignedMTL.preference must be a tuple .* not \(1.0, -1.0\)",
        ),
    ],
)
def test_bad_settings(settings, text):
    with pytest.raises(BadInput, match=text):
        AlignedMTL(**settings)


def test_a_preference_for_another_number_of_tasks_is_refused():
    method = AlignedMTL(preference=(1.0, 2.0, 3.0))
    with pytest.raises(BadInput, match=r"AlignedMTL.preference must have 2 numbers"):
        method.init(2)
    with pytest.raises(BadInput, match="must have 2 numbers"):
        method.weigh_gram(jnp.eye(2), (), KEY)
