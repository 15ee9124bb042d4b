"""Mixing: what stands for colour where there are no three channels."""

import jax
import numpy as np
import pytest

from mtl_jax.augment.image.blend import blend, color, contrast, luma

GREY = np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.float32)


def test_one_channel_has_no_colour():
    image = GREY[..., :1]
    np.testing.assert_array_equal(jax.jit(color)(image, np.float32(0.0)), image)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_luma_of_other_than_three_channels_is_their_mean(channels):
    image = GREY[..., :channels]
    wanted = np.floor(image.mean(2, keepdims=True) + 0.5)
    np.testing.assert_array_equal(jax.jit(luma)(image), wanted)
    found = jax.jit(color)(image, np.float32(0.0))
    np.testing.assert_array_equal(found, np.broadcast_to(wanted, image.shape))


def test_no_contrast_is_one_level_in_all_channels():
    found = np.asarray(jax.jit(contrast)(GREY, np.float32(0.0)))
    assert np.unique(found).size == 1
    assert abs(found.mean() - GREY.mean()) <= 1.0


def test_a_blend_by_hand():
    poor, grey = (np.full((1, 1, 1), level, np.float32) for level in (100.0, 90.0))
    factors = np.array([0.0, 0.25, 1.0, 2.0, 20.0], np.float32)
    found = jax.jit(jax.vmap(blend, (None, None, 0)))(poor, grey, factors)
    np.testing.assert_array_equal(found.reshape(-1), [100, 97, 90, 80, 0])  # by hand.
