"""GaussianBlur: the kernel by hand, its border, and how often it is applied."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.augment import GaussianBlur
from mtl_jax.augment.image.blur import gaussian

POINT = np.zeros((5, 5, 1), np.float32)
POINT[2, 2] = 1.0
KEYS = jax.random.split(jax.random.key(0), 300)


def test_a_point_becomes_the_kernel():
    side = np.exp([-0.5, 0.0, -0.5])  # by hand: sigma 1, one pixel either way
    side /= side.sum()
    found = np.asarray(jax.jit(gaussian, static_argnums=2)(POINT, jnp.float32(1.0), 1))[..., 0]
    np.testing.assert_allclose(found[1:4, 1:4], np.outer(side, side), atol=1e-6)
    assert found[0].max() == found[:, 4].max() == 0.0


def test_the_border_is_reflected_so_that_a_plain_image_stays():
    plain = np.full((6, 7, 2), 0.7, np.float32)
    np.testing.assert_allclose(gaussian(plain, jnp.float32(2.0), 3), plain, atol=1e-6)


def test_no_width_is_no_blur():
    np.testing.assert_allclose(gaussian(POINT, jnp.float32(0.0), 2), POINT, atol=1e-6)


def test_probability_and_range_of_widths():
    policy = GaussianBlur(probability=0.3, min_sigma=0.5, max_sigma=1.0, extent=0.8)
    found = np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, POINT))[:, 2, 2, 0]
    blurred = found[found < 1.0]
    assert abs(len(blurred) / len(KEYS) - 0.3) < 0.1
    # Of sigma 0.5 and 1 the peak is 0.6187 and 0.1621, by hand: 1 / (sum of the kernel)^2.
    assert 0.1621 - 1e-4 <= blurred.min() < 0.2 and 0.5 < blurred.max() <= 0.6188


def test_a_kernel_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="radius 4 needs a larger image"):
        GaussianBlur(extent=1.0)(KEYS[0], np.zeros((9, 3, 1), np.float32))
