"""IMTL-L: its value, the order of weighing and learning, and where it tends."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.weighting import IMTLL, LogSum, imtl_l_value

KEY = jax.random.key(0)


def test_value_and_derivatives(variant):
    losses, log_scale = jnp.array([2.0, 3.0]), jnp.array([0.0, math.log(4.0)])
    value = variant(imtl_l_value)(losses, log_scale)
    np.testing.assert_allclose(value, 2.0 + 12.0 - math.log(4.0), rtol=1e-6)  # by hand.
    slopes = variant(jax.grad(imtl_l_value, argnums=(0, 1)))(losses, log_scale)
    np.testing.assert_allclose(slopes[0], [1.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose(slopes[1], [1.0, 11.0], rtol=1e-6)


def test_weights_are_those_before_the_step():
    method = IMTLL(learning_rate=0.1, initial=math.log(2.0))
    weigh = jax.jit(method.weigh_losses)
    losses = jnp.array([4.0, 0.1])
    weights, state = weigh(losses, method.init(2), KEY)
    np.testing.assert_allclose(weights, [2.0, 2.0], rtol=1e-6)  # by hand: exp(log 2).
    # By hand: Adam's first step is the rate times the sign; s falls where exp(s) L > 1.
    after = math.log(2.0) + np.array([-0.1, 0.1])
    np.testing.assert_allclose(state.log_scale, after, rtol=1e-5)
    np.testing.assert_allclose(weigh(losses, state, KEY)[0], np.exp(after), rtol=1e-5)


def test_weights_tend_to_those_of_the_sum_of_logs():
    method, losses = IMTLL(), jnp.array([0.2, 1.0, 3.0])

    def step(state, _):
        weights, state = method.weigh_losses(losses, state, KEY)
        return state, weights

    _, weights = jax.jit(lambda state: jax.lax.scan(step, state, length=500))(method.init(3))
    wanted = LogSum().weigh_losses(losses, (), KEY)[0]
    np.testing.assert_allclose(weights[-1], wanted, rtol=0.02)


def test_another_number_of_tasks_is_refused():
    method = IMTLL()
    with pytest.raises(AssertionError):
        method.weigh_losses(jnp.ones(3), method.init(2), KEY)
    with pytest.raises(AssertionError):
        imtl_l_value(jnp.ones(3), jnp.ones(1))
