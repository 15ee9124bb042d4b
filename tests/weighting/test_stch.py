"""STCH: its value, how near the maximum it comes, and the warm-up with its nadir."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.weighting import STCH, stch_value

KEY = jax.random.key(0)


def follow(method, losses):
    """Weights of each row of losses, one step after the other."""

    def step(state, row):
        weights, state = method.weigh_losses(row, state, KEY)
        return state, weights

    losses = jnp.array(losses, jnp.float32)
    start = method.init(losses.shape[1])
    return np.asarray(jax.jit(lambda: jax.lax.scan(step, start, losses)[1])())


def test_value_and_weights(variant):
    losses, share, ideal = jnp.array([2.0, 5.0]), jnp.array([1.0, 0.5]), jnp.array([0.0, 1.0])
    value = variant(stch_value)(losses, share, ideal, 2.0)  # By hand: both arguments are 2 / 2.
    np.testing.assert_allclose(value, 2.0 * (1.0 + np.log(2.0)), rtol=1e-6)
    method = STCH(mu=2.0, weights=(1.0, 0.5), reference=(0.0, 1.0))
    weights, _ = variant(method.weigh_losses)(losses, method.init(2), KEY)
    np.testing.assert_allclose(weights, [0.5, 0.25], rtol=1e-6)  # by hand.


def test_a_small_mu_is_the_maximum():
    losses = jnp.array([0.3, 0.9, 0.6])
    weights, _ = STCH(mu=1e-3).weigh_losses(losses, STCH().init(3), KEY)
    np.testing.assert_allclose(weights, [0.0, 1 / 3, 0.0], atol=1e-6)
    np.testing.assert_allclose(stch_value(losses, jnp.ones(3), jnp.zeros(3), 1e-3), 0.9, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e4, 1e15])
def test_large_terms_do_not_overflow(scale):
    method = STCH(weights=(0.3, 0.45, 0.25))
    losses = scale * np.random.default_rng(0).uniform(1.0, 2.0, (50, 3))
    weights = jax.jit(jax.vmap(lambda row: method.weigh_losses(row, method.init(3), KEY)[0]))
    largest = (losses * method.weights).argmax(1)
    wanted = np.eye(3)[largest] * method.weights
    np.testing.assert_allclose(weights(jnp.array(losses, "float32")), wanted, atol=1e-6)


def test_warm_up_weighs_logs_and_its_last_window_becomes_the_nadir():
    losses = np.array([[50.0, 60.0], [1.0, 4.0], [3.0, 12.0], [2.0, 2.0], [0.5, 8.0], [4.0, 4.0]])
    weights = follow(STCH(warmup=3, window=2), losses)
    np.testing.assert_allclose(weights[:3], 1.0 / losses[:3], rtol=1e-6)
    # By hand: the nadir is (2, 8), and with mu = 1 the value is K log sum_i L_i / n_i.
    nadir = np.array([2.0, 8.0])
    wanted = 2 / nadir / (losses[3:] / nadir).sum(1, keepdims=True)
    np.testing.assert_allclose(weights[3:], wanted, rtol=1e-5)


def test_after_the_warm_up_the_task_above_its_nadir_decides():
    sharp = STCH(warmup=1, mu=0.01)
    weights = follow(sharp, [[1.0, 100.0], [0.9, 10.0], [0.1, 95.0]])
    np.testing.assert_allclose(weights[1], [2 / 0.9, 0.0], atol=1e-6)
    np.testing.assert_allclose(weights[2], [0.0, 2 / 95.0], atol=1e-6)


def test_without_loss_or_nadir_a_task_is_left_out():
    weights = follow(STCH(warmup=1), [[0.0, 1.0, 2.0], [5.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(weights, [[0.0, 1.0, 0.5], [0.0, 3.0, 0.0], [0.0] * 3], rtol=1e-6)
    assert np.isnan(follow(STCH(warmup=1), [[1.0, 1.0], [1.0, -1.0]])[1]).all()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"warmup": 3, "window": 4}, "STCH.window must be at most the warmup, not 4"),
        ({"window": 2}, "STCH.window must be at most the warmup, not 2"),
    ],
)
def test_bad_settings(settings, text):
    with pytest.raises(BadInput, match=text):
        STCH(**settings)


@pytest.mark.parametrize("field", ["weights", "reference"])
def test_another_number_of_tasks_is_refused(field):
    with pytest.raises(BadInput, match=rf"STCH\.{field} must have 3 entries, not"):
        STCH(**{field: (1.0, 2.0)}).init(3)
