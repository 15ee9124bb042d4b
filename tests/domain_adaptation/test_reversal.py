"""Gradient reversal: the identity forward, turned backward, and its warm-ups."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.domain_adaptation import SigmoidWarmUp, StepWarmUp, reverse_gradient

X = jnp.array([[1.0, -2.0], [1e30, 0.5]])


def test_identity_forward(variant):
    np.testing.assert_array_equal(variant(reverse_gradient)(X, 0.3), X)


def test_gradient_is_turned(variant):
    grad = variant(jax.grad(lambda x: (3.0 * reverse_gradient(x, 0.5)).sum()))(X)
    np.testing.assert_array_equal(grad, np.full((2, 2), -1.5))  # by hand


def test_forward_mode_says_the_same():
    _, tangent = jax.jit(lambda x, t: jax.jvp(lambda x: reverse_gradient(x, 2.0), (x,), (t,)))(X, X)
    np.testing.assert_array_equal(tangent, -2.0 * X)


def test_traced_coefficients_side_by_side_and_none_is_trained():
    def loss(x, c):
        return jnp.square(reverse_gradient(x, c)).sum()

    coefficients = jnp.array([0.0, 1.0, 2.0])
    point = jnp.array([1.0, 3.0])
    grads = jax.jit(jax.vmap(jax.grad(loss, (0, 1)), (None, 0)))(point, coefficients)
    np.testing.assert_allclose(grads[0], [[-0.0, -0.0], [-2.0, -6.0], [-4.0, -12.0]])  # by hand
    np.testing.assert_array_equal(grads[1], [0.0, 0.0, 0.0])


def test_half_precision_stays():
    half = X[:1].astype(jnp.bfloat16)
    assert reverse_gradient(half, jnp.float32(0.5)).dtype == jnp.bfloat16
    grad = jax.grad(lambda x: reverse_gradient(x, jnp.float32(0.5)).sum())(half)
    assert grad.dtype == jnp.bfloat16


def test_over_the_whole_training():
    warm = jax.jit(jax.vmap(SigmoidWarmUp()))(jnp.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(
        warm, [0.0, 2 / (1 + math.exp(-5)) - 1, 2 / (1 + math.exp(-10)) - 1], rtol=1e-6
    )  # by hand


def test_over_steps():
    warm = jax.jit(jax.vmap(StepWarmUp()))(jnp.array([0, 1000, 4000, 10**6]))
    np.testing.assert_allclose(warm, [0.0, 0.462117, 0.964028, 1.0], rtol=1e-5)  # by hand
    warm = StepWarmUp(gain=2.0, steps=10, low=0.5, high=0.7)
    np.testing.assert_allclose(warm(0), 0.5)
    np.testing.assert_allclose(warm(5), 0.5 + 0.2 * 0.462117, rtol=1e-6)  # by hand


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="reverse_gradient needs floats, not int32"):
        reverse_gradient(jnp.arange(3), 1.0)
    with pytest.raises(ValueError, match=r"one coefficient, not an array \(2,\)"):
        reverse_gradient(X, jnp.ones(2))


def test_gain_is_checked_and_repr_makes_it_again():
    with pytest.raises(BadInput, match=r"SigmoidWarmUp\.gain must be at least 0"):
        SigmoidWarmUp(gain=-0.1)
    for method in (SigmoidWarmUp(5.0), StepWarmUp(high=0.1)):
        assert eval(repr(method)) == method
