"""The logarithm of what a class has not: by hand, and where 1 - p rounds to 0."""

from math import log

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.losses.complement import log_complement


def test_value(variant):
    logits = jnp.array([[log(3.0), 0.0], [log(3.0), 0.0]])
    value = variant(log_complement)(logits, jnp.array([0, 1]))
    np.testing.assert_allclose(value, [log(0.25), log(0.75)], rtol=1e-6)  # by hand


def test_sure_beyond_rounding():
    f = jax.jit(jax.value_and_grad(lambda z: log_complement(z, jnp.int32(0))))
    value, grad = f(jnp.array([200.0, 0.0, 0.0]))
    np.testing.assert_allclose(value, log(2.0) - 200.0, rtol=1e-6)  # by hand
    np.testing.assert_allclose(grad, [-1.0, 0.5, 0.5], rtol=1e-6)
