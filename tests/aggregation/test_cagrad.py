"""CAGrad: known answers, the ball, its ends, and bad settings."""

import functools

import jax
import numpy as np
import pytest

from mtl_jax.aggregation import MGDA, CAGrad

KEY = jax.random.key(0)
ROWS = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], np.float32)


@functools.cache
def compiled(method):
    return jax.jit(lambda gram: method.weigh_gram(gram, (), KEY)[0])


def weigh(method, rows):
    rows = np.asarray(rows, np.float32)
    return np.asarray(compiled(method)(rows @ rows.T))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (ROWS, [0.7041, 0.5]),  # torchjd 0.18.0, CAGrad(0.5).
        ([[3.0, 1.0]], [1.5]),  # by hand: longer by c.
        ([[2.0, 0.0], [-1.0, 0.0]], [0.5, 0.75]),  # by hand: from 1/2 back to 1/4.
        ([[0.0, 0.0], [1.0, 1.0]], [0.5, 0.5]),  # the zero row does nothing.
        ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5]),
    ],
)
def test_values(rows, expected):
    np.testing.assert_allclose(weigh(CAGrad(), rows), expected, rtol=1e-4)


def test_without_a_ball_it_is_the_mean():
    rows = np.random.default_rng(0).normal(size=(4, 6))
    np.testing.assert_allclose(weigh(CAGrad(c=0.0), rows), np.full(4, 0.25), rtol=1e-6)


def test_the_step_ends_on_the_ball():
    rows = np.random.default_rng(1).normal(size=(4, 6))
    mean = rows.mean(0)
    away = weigh(CAGrad(c=0.4), rows) @ rows - mean
    np.testing.assert_allclose(np.linalg.norm(away), 0.4 * np.linalg.norm(mean), rtol=1e-4)


def test_a_ball_with_zero_in_it_excludes_conflict():
    for seed in range(5):
        rows = np.random.default_rng(seed).normal(size=(4, 6))
        rows -= 0.9 * rows.mean(0)
        inner = rows @ (weigh(CAGrad(c=1.0), rows) @ rows)
        assert (inner >= -1e-5).all()
    assert (rows @ (weigh(CAGrad(c=0.2), rows) @ rows)).min() < -1e-2


def test_a_large_ball_turns_it_to_mgda():
    far = weigh(CAGrad(c=1e4), ROWS)
    np.testing.assert_allclose(far / far.sum(), weigh(MGDA(), ROWS), rtol=1e-3)


@pytest.mark.parametrize(("rescale", "divisor"), [("one_plus_square", 1.25), ("one_plus", 1.5)])
def test_rescaling(rescale, divisor):
    found = weigh(CAGrad(rescale=rescale), ROWS)
    np.testing.assert_allclose(divisor * found, weigh(CAGrad(), ROWS), rtol=1e-6)
