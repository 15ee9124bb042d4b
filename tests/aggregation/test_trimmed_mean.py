"""Trimmed mean: known answers, whose numbers count, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import TrimmedMean
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)


def combine(rows, trim=1):
    gradient, shares, _ = TrimmedMean(trim).combine({"w": jnp.array(rows)}, (), KEY)
    return gradient["w"], shares


@pytest.mark.parametrize(
    ("rows", "trim", "expected"),
    [
        ([[1e11, 3.0], [1.0, -1e11], [-1e10, 1e10], [2.0, 2.0]], 1, [1.5, 2.5]),  # torchjd
        # 0.18.0, TrimmedMean.
        ([[1.0, 0.0], [5.0, 1.0], [3.0, 7.0]], 1, [3.0, 1.0]),  # by hand: the median.
        ([[1.0, 0.0], [5.0, 1.0], [3.0, 8.0]], 0, [3.0, 3.0]),  # by hand: the mean.
        ([[0.0, 0.0], [5.0, -1.0], [3.0, -8.0]], 1, [3.0, -1.0]),  # a zero row takes part.
        ([[2.0, -1.0], [2.0, -1.0], [2.0, -1.0]], 1, [2.0, -1.0]),
    ],
)
def test_values(rows, trim, expected):
    np.testing.assert_allclose(combine(rows, trim)[0], expected, rtol=1e-6)


def test_shares_tell_how_much_of_each_task_is_left():
    _, shares = combine([[1.0, 0.0], [5.0, 1.0], [3.0, 7.0]])
    np.testing.assert_allclose(shares, [0.0, 1 / 6, 0.3], rtol=1e-6)  # by hand: 1 of 6, 3 of 10.
    _, shares = combine([[1.0, 0.0], [5.0, 1.0], [3.0, 7.0]], trim=0)
    np.testing.assert_allclose(shares, [1 / 3] * 3, rtol=1e-6)


def test_one_wild_task_does_not_move_it_beyond_the_others():
    rows = np.random.default_rng(0).normal(size=(5, 20)).astype("float32")
    rows[2] = 1e15
    gradient, _ = combine(rows)
    others = np.delete(rows, 2, 0)
    assert (others.min(0) <= gradient).all() and (gradient <= others.max(0)).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_not_trimmed_away(value):
    gradient, shares = combine([[1.0, 0.0], [5.0, value], [3.0, 7.0]])
    assert np.isnan(gradient).all() and np.isnan(shares).all()


def test_bad_settings():
    with pytest.raises(BadInput, match=r"TrimmedMean.trim must be at least 0, not -1"):
        TrimmedMean(-1)
    with pytest.raises(BadInput, match=r"TrimmedMean.trim must be an integer, not 0\.5"):
        TrimmedMean(0.5)
    with pytest.raises(BadInput, match="must be below half the number of tasks, 2, not 1"):
        TrimmedMean().init(2, {})
    with pytest.raises(BadInput, match="must be below half the number of tasks, 4, not 2"):
        combine(np.ones((4, 2), "float32"), 2)
