"""Spectral penalty: by hand, in both shapes, and gradients where singular values are equal."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.domain_adaptation import spectral_penalty

FEATURES = jnp.array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0]])  # singular values 3 and 2


@pytest.mark.parametrize(("largest", "value"), [(1, 9.0), (2, 13.0)])
def test_value_and_gradient(largest, value):
    f = jax.jit(jax.value_and_grad(partial(spectral_penalty, largest=largest)))
    for features in (FEATURES, FEATURES.T):
        loss, grad = f(features)
        np.testing.assert_allclose(loss, value, rtol=1e-6)  # by hand
        wanted = 2 * features if largest == 2 else jnp.where(features == 3.0, 6.0, 0.0)
        np.testing.assert_allclose(grad, wanted, atol=1e-5)  # by hand


def test_against_singular_values():
    features = jax.random.normal(jax.random.key(0), (5, 8))
    values = np.linalg.svd(np.asarray(features, np.float64), compute_uv=False)
    loss = jax.jit(partial(spectral_penalty, largest=3))(features)
    np.testing.assert_allclose(loss, (values[:3] ** 2).sum(), rtol=1e-5)
    np.testing.assert_allclose(jax.jit(spectral_penalty)(features[::-1]), values[0] ** 2, rtol=1e-5)


@pytest.mark.parametrize("features", [jnp.eye(3), jnp.zeros((3, 4)), jnp.ones((1, 4))])
def test_equal_singular_values_have_finite_gradients(features):
    grad = jax.jit(jax.grad(spectral_penalty))(features)
    assert jnp.isfinite(grad).all()
    assert jnp.linalg.norm(grad) <= 2.001 * jnp.linalg.norm(features)


@pytest.mark.parametrize(("shape", "largest"), [((3,), 1), ((2, 3), 3), ((2, 3), 0)])
def test_what_does_not_fit_is_refused(shape, largest):
    with pytest.raises(ValueError, match=r"spectral_penalty needs features \[N, D\]"):
        spectral_penalty(jnp.zeros(shape), largest=largest)
