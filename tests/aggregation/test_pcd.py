"""PCD: known answers, what the constraints say, the averages, and degenerate gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import PCD

KEY = jax.random.key(0)


@functools.cache
def compiled(method):
    return jax.jit(lambda gram, state: method.weigh_gram(gram, state, KEY))


def weigh(method, rows):
    rows = jnp.array(rows, jnp.float32)
    return compiled(method)(rows @ rows.T, method.init(len(rows)))[0]


@pytest.mark.parametrize(
    ("tau", "rows", "expected"),
    [
        (0.02, [[1.0, 0.0], [1.0, 1.0]], [1.0, 0.0]),  # nothing is asked for.
        (0.0, [[1.0, 0.0], [-1.0, 1.0]], [2**0.5, 0.5**0.5]),  # by hand: (1, 1) / sqrt 2.
        (0.5, [[2.0, 0.0], [0.0, 1.0]], [0.8**0.5, 0.8**0.5]),  # by hand: along (2, 1).
        (0.02, [[1.0, 0.0], [0.0, 0.0]], [1.0, 0.0]),  # a zero row has no say,
        (0.02, [[0.0, 0.0], [1.0, 0.0]], [0.0, 0.0]),  # but the first has all.
        (0.0, [[1.0, 0.0], [-2.0, 0.0]], [0.0, 0.0]),  # opposed: nowhere to go,
        (0.02, [[1.0, 0.0], [-2.0, 0.0]], [50.0, 25.5]),  # or as the second wants.
        (0.02, [[1.0, 0.0], [0.0, 1.0], [0.0, -3.0]], [1.0, 0.0, 0.0]),  # a contradiction.
        (0.02, [[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0]),
        (0.02, [[-3.0]], [1.0]),
    ],
)
def test_values(tau, rows, expected):
    np.testing.assert_allclose(weigh(PCD(tau), rows), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0])
def test_it_is_the_closest_that_gives_each_of_the_others_its_part(tau):
    for seed in range(4):
        rows = np.random.default_rng(seed).normal(size=(4, 7))
        rows -= 0.8 * rows.mean(0)
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        weights = np.asarray(weigh(PCD(tau), rows), "float64")
        total = weights @ rows
        np.testing.assert_allclose(total @ total, rows[0] @ rows[0], rtol=1e-4)
        multipliers = weights * np.linalg.norm(rows, axis=1)
        direction, multipliers = total / multipliers[0], multipliers[1:] / multipliers[0]
        spare = units[1:] @ direction - tau
        assert (multipliers >= 0.0).all() and (spare >= -1e-4).all()
        np.testing.assert_allclose(multipliers * spare, 0.0, atol=1e-4)


def test_averages_have_no_bias():
    method, state, squares = PCD(beta=0.9), PCD(beta=0.9).init(2), []
    for length in (1.0, 2.0, 5.0):
        squares.append(length**2)
        _, state = compiled(method)(jnp.diag(jnp.array([length**2, 3.0])), state)
    parts = 0.1 * 0.9 ** np.array([2, 1, 0])
    expected = [parts @ np.array(squares) / parts.sum(), 3.0]
    np.testing.assert_allclose(state.squares, expected, rtol=1e-5)


def test_what_is_not_finite_leaves_the_averages():
    _, state = compiled(PCD())(jnp.eye(2), PCD().init(2))
    weights, after = compiled(PCD())(jnp.diag(jnp.array([jnp.inf, 1.0])), state)
    assert np.isnan(weights).all()
    np.testing.assert_array_equal(after.squares, state.squares)
    np.testing.assert_array_equal(after.total, state.total)
