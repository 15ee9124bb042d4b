"""CoV: against the moments of the whole history, and its first steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.weighting import CoV

KEY = jax.random.key(0)


def follow(losses):
    """Weights of each row of losses, one step after the other."""

    def step(state, row):
        weights, state = CoV().weigh_losses(row, state, KEY)
        return state, weights

    losses = jnp.array(losses, jnp.float32)
    start = CoV().init(losses.shape[1])
    return np.asarray(jax.jit(lambda: jax.lax.scan(step, start, losses)[1])())


def from_history(losses):
    """The weights after some steps, from all their losses."""
    ratios = [losses[0] / losses[0]]
    ratios += [losses[t] / losses[:t].mean(0) for t in range(1, len(losses))]
    variation = np.std(ratios, axis=0) / np.mean(ratios, axis=0)
    return variation / variation.sum()


def test_weights_are_those_of_the_history_before():
    losses = np.random.default_rng(0).uniform(0.5, 2.0, (12, 3)) * [1e-6, 1.0, 1e6]
    weights = follow(losses)
    np.testing.assert_allclose(weights[:2], 1 / 3, rtol=1e-6)
    wanted = [from_history(losses[:t]) for t in range(2, 12)]
    np.testing.assert_allclose(weights[2:], wanted, rtol=1e-4)


def test_the_loss_that_varies_weighs_more():
    steps = np.arange(20)
    weights = follow(np.stack([5.0 * 0.9**steps, np.ones(20)], axis=1))
    assert (weights[2:, 0] > 0.99).all()


def test_losses_that_never_change_weigh_alike():
    np.testing.assert_allclose(follow(np.ones((5, 4)) * [0.0, 1.0, 7.0, 1e9]), 0.25, rtol=1e-5)


def test_a_loss_that_was_zero_does_no_harm():
    weights = follow([[0.0, 1.0], [0.0, 1.2], [3.0, 1.0], [2.0, 1.1], [2.5, 1.0]])
    assert np.isfinite(weights).all() and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-6)


def test_another_number_of_tasks_is_refused():
    with pytest.raises(AssertionError):
        CoV().weigh_losses(jnp.ones(3), CoV().init(2), KEY)
