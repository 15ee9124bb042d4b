"""DualProj: known answers, the closest direction that harms nobody, and degenerate gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import DualProj
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)


@functools.cache
def compiled(method):
    return jax.jit(lambda gram: method.weigh_gram(gram, (), KEY)[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [0.6109, 0.5]),  # torchjd 0.18.0, DualProj.
        ([[1.0, 0.0], [1.0, 1.0]], [0.5, 0.5]),  # no conflict: the mean.
        ([[0.0, 0.0], [-1.0, 1.0]], [0.5, 0.5]),  # a zero row does nothing.
        ([[1.0, 0.0], [-2.0, 0.0]], [1.0, 0.5]),  # opposed, by hand: up to a zero sum.
        ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5]),
        ([[-3.0]], [1.0]),
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(compiled(DualProj())(rows @ rows.T), expected, rtol=1e-3)


def test_the_conditions_of_the_projection_hold():
    method, preference = compiled(DualProj(0.0, (1.0, 0.2, 3.0, 0.5))), np.array([1.0, 0.2, 3, 0.5])
    for seed in range(4):
        rows = np.random.default_rng(seed).normal(size=(4, 7))
        rows -= 0.9 * rows.mean(0)
        weights = np.asarray(method(jnp.array(rows @ rows.T, jnp.float32)), "float64")
        inner = rows @ (weights @ rows)
        moved = weights - preference
        assert (moved >= 0.0).all() and (moved > 0.0).any() and (inner >= -1e-4).all()
        np.testing.assert_allclose(moved * inner, 0.0, atol=1e-4)  # Only what it touches moves it.


def test_it_still_works_near_a_stationary_point():
    gram = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
    small = compiled(DualProj())(1e-12 * gram)  # The reference code averages here.
    np.testing.assert_allclose(small, compiled(DualProj())(gram), rtol=1e-5)


def test_a_preference_for_another_number_of_tasks_is_refused():
    with pytest.raises(BadInput, match=r"DualProj.preference must have 3 numbers"):
        DualProj(preference=(1.0, 2.0)).init(3)
