"""MoCo: two steps by hand, what tracking and weights do, and what is refused."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import MoCo

KEY = jax.random.key(0)
ROWS = np.array([[3.0, 4.0], [0.0, -2.0]], "float32")


@jax.jit
def two_steps(losses, rows):
    method = MoCo(tracking=0.5, step_size=0.2, ridge=0.1)
    state, found = method.init(2, jnp.zeros(2)), []
    for _ in range(2):
        gradient, weights, state = method.combine(rows, method.pre_step(losses, state), KEY)
        found.append((gradient, weights))
    return found


def test_by_hand():
    losses, tracked, weights = np.array([2.0, 0.5]), np.zeros((2, 2)), np.full(2, 0.5)
    unit = np.array([[0.6, 0.8], [0.0, -1.0]])
    for step, found in enumerate(two_steps(losses.astype("float32"), ROWS), 1):
        tracked += 0.5 / math.sqrt(step) * (losses[:, None] * unit - tracked)
        pull = (tracked @ tracked.T + 0.1 * np.eye(2)) @ weights
        weights = np.exp(weights - 0.2 / math.sqrt(step) * pull)
        weights /= weights.sum()
        np.testing.assert_allclose(found[0], weights @ tracked, rtol=1e-5)
        np.testing.assert_allclose(found[1], weights, rtol=1e-5)


def test_the_first_step_by_hand():
    method = MoCo(step_size=0.0)
    gradient, weights, state = method.combine(ROWS, method.init(2, jnp.zeros(2)), KEY)
    np.testing.assert_allclose(weights, [0.5, 0.5])
    np.testing.assert_allclose(state.rows, [[0.3, 0.4], [0.0, -0.5]], rtol=1e-6)  # by hand
    np.testing.assert_allclose(gradient, [0.15, -0.05], rtol=1e-5)  # by hand


def test_a_negative_loss_does_not_turn_its_row_round():
    for one, other in zip(
        two_steps(jnp.array([2.0, -0.5]), ROWS), two_steps(jnp.array([2.0, 0.5]), ROWS), strict=True
    ):
        np.testing.assert_array_equal(one[0], other[0])


@pytest.mark.parametrize("scale", [1e-15, 1e15])
def test_the_length_of_gradients_does_not_matter(scale):
    losses = jnp.array([2.0, 0.5])
    for one, other in zip(two_steps(losses, scale * ROWS), two_steps(losses, ROWS), strict=True):
        np.testing.assert_allclose(one[0], other[0], rtol=1e-5)


def test_a_longer_tracked_row_loses_weight():
    (_, weights), _ = two_steps(jnp.array([5.0, 0.5]), ROWS)
    assert weights[0] < weights[1]
