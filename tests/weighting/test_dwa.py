"""DWA: its windows, the ratio of their means, and the temperature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.weighting import DWA

KEY = jax.random.key(0)


def follow(method, losses):
    """Weights of each row of losses, one step after the other."""

    def step(state, row):
        weights, state = method.weigh_losses(row, state, KEY)
        return state, weights

    losses = jnp.array(losses, jnp.float32)
    start = method.init(losses.shape[1])
    return np.asarray(jax.jit(lambda: jax.lax.scan(step, start, losses)[1])())


def softmax(ratios):
    return np.exp(ratios) / np.exp(ratios).sum()


def test_two_windows_of_ones_then_the_ratio_of_the_means_before():
    losses = [[1.0, 8.0], [3.0, 8.0], [1.0, 2.0], [2.0, 6.0], [9.0, 9.0], [7.0, 9.0], [1.0, 1.0]]
    weights = follow(DWA(window=2), losses)
    np.testing.assert_array_equal(weights[:4], 1.0)
    # By hand: the means are (2, 8), (1.5, 4), (8, 9).
    wanted = 2 * softmax(np.array([0.75, 0.5]) / 2.0)
    np.testing.assert_allclose(weights[4:6], [wanted, wanted], rtol=1e-6)
    np.testing.assert_allclose(weights[6], 2 * softmax(np.array([8 / 1.5, 9 / 4]) / 2.0), rtol=1e-6)


def test_units_do_not_matter_and_a_large_temperature_makes_weights_equal():
    losses = np.random.default_rng(0).uniform(0.5, 2.0, (9, 3))
    weights = follow(DWA(window=1), losses)
    assert np.ptp(weights[2:]) > 0.1
    np.testing.assert_allclose(follow(DWA(window=1), losses * [1e-8, 1.0, 1e8]), weights, rtol=1e-5)
    np.testing.assert_allclose(weights.sum(1), 3.0, rtol=1e-6)
    np.testing.assert_allclose(follow(DWA(window=1, temperature=1e6), losses), 1.0, atol=1e-5)


def test_a_window_without_loss_has_ratio_one():
    weights = follow(DWA(window=1), [[0.0, 1.0], [5.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(weights[2], 1.0, rtol=1e-6)
    weights = follow(DWA(window=1), [[1e-30, 1.0], [1e30, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(weights[2], [2.0, 0.0], atol=1e-6)  # Not NaN.


def test_another_number_of_tasks_is_refused():
    with pytest.raises(AssertionError):
        DWA().weigh_losses(jnp.ones(3), DWA().init(2), KEY)
