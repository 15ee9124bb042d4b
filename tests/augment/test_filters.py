"""Filters: small images, and that only neighbours count."""

import jax
import numpy as np
import pytest

from mtl_jax.augment.image.filters import BLUR, SMOOTH, filter_mean


@pytest.mark.parametrize(("weights", "reach"), [(SMOOTH, 1), (BLUR, 2)], ids=["smooth", "blur"])
def test_one_bright_pixel_spreads_by_the_weights(weights, reach):
    image = np.zeros((9, 11, 2), np.float32)
    image[4, 5, 1] = 208.0  # 16 times 13, the sums of the weights.
    found = np.asarray(jax.jit(filter_mean, static_argnums=1)(image, weights))
    wanted = np.array(weights) * 208 / np.sum(weights)
    around = found[4 - reach : 5 + reach, 5 - reach : 6 + reach, 1]
    np.testing.assert_array_equal(around, wanted)
    assert found.sum() == 208.0 and (found[..., 0] == 0.0).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 9, 3), (9, 4, 1)], ids=str)
def test_what_has_no_inside_stays(shape):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    weights = SMOOTH if min(shape[:2]) < 3 else BLUR
    np.testing.assert_array_equal(jax.jit(filter_mean, static_argnums=1)(image, weights), image)
