"""Uncertainty weighting: its value, the order of weighing and learning, and where it tends."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.weighting import Uncertainty, uncertainty_value

KEY = jax.random.key(0)


def test_value_and_derivatives(variant):
    losses, log_variance = jnp.array([2.0, 3.0]), jnp.array([0.0, math.log(4.0)])
    value = variant(uncertainty_value)(losses, log_variance)
    np.testing.assert_allclose(value, 1.0 + 3 / 8 + math.log(2.0), rtol=1e-6)  # by hand.
    slopes = variant(jax.grad(uncertainty_value, argnums=(0, 1)))(losses, log_variance)
    np.testing.assert_allclose(slopes[0], [1 / 2, 1 / 8], rtol=1e-6)
    np.testing.assert_allclose(slopes[1], [1 / 2 - 1.0, 1 / 2 - 3 / 8], rtol=1e-6)


def test_weights_are_those_before_the_step():
    method = Uncertainty(learning_rate=0.1, initial=math.log(2.0))
    weigh = jax.jit(method.weigh_losses)
    losses = jnp.array([4.0, 0.5])
    weights, state = weigh(losses, method.init(2), KEY)
    np.testing.assert_allclose(weights, [0.25, 0.25], rtol=1e-6)  # by hand: exp(-log 2) / 2.
    # By hand: Adam's first step is the rate times the sign; s rises where L > exp(s).
    after = math.log(2.0) + np.array([0.1, -0.1])
    np.testing.assert_allclose(state.log_variance, after, rtol=1e-5)
    np.testing.assert_allclose(weigh(losses, state, KEY)[0], np.exp(-after) / 2, rtol=1e-5)


def test_log_variance_tends_to_the_log_of_the_loss():
    method, losses = Uncertainty(), jnp.array([0.2, 1.0, 3.0])

    def step(state, _):
        weights, state = method.weigh_losses(losses, state, KEY)
        return state, weights

    state, weights = jax.jit(lambda state: jax.lax.scan(step, state, length=500))(method.init(3))
    np.testing.assert_allclose(state.log_variance, np.log(losses), atol=0.01)
    np.testing.assert_allclose(weights[-1] * losses, 0.5, rtol=0.01)  # All count alike.


def test_conventions_differ_by_the_half(variant):
    losses, log_variance = jnp.array([2.0, 3.0]), jnp.array([0.0, math.log(4.0)])
    mixed = ("classification", "regression")
    value = variant(lambda *given: uncertainty_value(*given, mixed))(losses, log_variance)
    np.testing.assert_allclose(value, 2.0 + 3 / 8 + math.log(2.0), rtol=1e-6)  # by hand.
    for convention, wanted in [("classification", [1.0, 1.0]), (mixed, [1.0, 0.5])]:
        method = Uncertainty(convention=convention)
        weights, _ = method.weigh_losses(losses, method.init(2), KEY)
        np.testing.assert_allclose(weights, wanted, rtol=1e-6)  # by hand: a exp(-0).


def test_another_number_of_tasks_is_refused():
    method = Uncertainty()
    with pytest.raises(AssertionError):
        method.weigh_losses(jnp.ones(3), method.init(2), KEY)
    with pytest.raises(AssertionError):
        uncertainty_value(jnp.ones(3), jnp.ones(1))
    with pytest.raises(AssertionError):
        uncertainty_value(jnp.ones(3), jnp.ones(3), ("regression",) * 2)
    with pytest.raises(BadInput, match=r"Uncertainty\.convention must have 2 entries, not"):
        Uncertainty(convention=("regression",)).init(2)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"convention": "mixed"}, "Uncertainty.convention must be regression or classification"),
        ({"convention": ()}, "Uncertainty.convention must be regression or classification"),
        ({"convention": ("regression", 1)}, "Uncertainty.convention must be regression or"),
    ],
)
def test_bad_settings(settings, text):
    with pytest.raises(BadInput, match=text):
        Uncertainty(**settings)
