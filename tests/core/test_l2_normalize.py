"""unit: length 1 at any scale, and no gradient where there is no direction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.tree import unit


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_any_scale(scale):
    found = jax.jit(unit)(jnp.float32(scale) * jnp.array([[3.0, -4.0], [0.0, 2.0]]))
    np.testing.assert_allclose(found, [[0.6, -0.8], [0.0, 1.0]], rtol=1e-6)  # by hand


def test_gradient():
    slope = jax.jacobian(unit)(jnp.array([3.0, 4.0]))
    wanted = np.array([[16.0, -12.0], [-12.0, 9.0]]) / 125.0  # by hand: (I - u u^T) / |v|
    np.testing.assert_allclose(slope, wanted, rtol=1e-5)


def test_zeros_stay_without_a_gradient():
    value, slope = jax.value_and_grad(lambda v: unit(v).sum())(jnp.zeros(3))
    assert value == 0.0
    np.testing.assert_array_equal(slope, jnp.zeros(3))


def test_nan_is_not_hidden():
    assert jnp.isnan(unit(jnp.array([jnp.nan, 1.0]))).all()
