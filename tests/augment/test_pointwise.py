"""Level tables: any number of channels, each for itself; channels of one level."""

import jax
import numpy as np
import pytest

from mtl_jax.augment.image.autocontrast import autocontrast
from mtl_jax.augment.image.pointwise import equalize, pixels_below, posterize

GREY = np.random.default_rng(0).integers(20, 200, (7, 5, 4)).astype(np.float32)


def test_pixels_below_are_counted():
    counts, below = jax.jit(pixels_below)(GREY)
    for channel in range(4):
        wanted = [(GREY[..., channel] < level).sum() for level in range(256)]
        np.testing.assert_array_equal(below[channel], wanted)
    np.testing.assert_array_equal(counts.sum(1), [35] * 4)


@pytest.mark.parametrize("function", [autocontrast, equalize])
def test_each_channel_for_itself(function):
    many = np.asarray(jax.jit(function)(GREY))
    for channel in range(4):
        one = jax.jit(function)(GREY[..., channel : channel + 1])
        np.testing.assert_array_equal(many[..., channel], one[..., 0])


@pytest.mark.parametrize("function", [autocontrast, equalize])
def test_one_level_stays(function):
    flat = np.full((4, 6, 2), 77.0, np.float32)
    np.testing.assert_array_equal(jax.jit(function)(flat), flat)


def test_every_range_of_levels_is_stretched_as_pillow_does():
    # int(level * (255.0 / span) - low * (255.0 / span)) in float64, Pillow 13, ImageOps.
    low, high = np.meshgrid(np.arange(0, 256, 3), np.arange(0, 256, 5), indexing="ij")
    low, high = (part[low < high] for part in (low, high))
    middle = (low + high) // 2
    levels = np.stack([low, middle, high], 1)
    scale = 255.0 / (high - low)[:, None]
    wanted = (levels * scale + -low[:, None] * scale).astype(int)
    found = jax.jit(jax.vmap(autocontrast))(levels[:, :, None, None].astype(np.float32))
    np.testing.assert_array_equal(found[..., 0, 0], wanted)


def test_posterize_by_hand():
    grey = np.array([255.0, 100.0, 31.0], np.float32).reshape(1, 3, 1)
    found = jax.jit(posterize)(grey, np.float32(3))
    np.testing.assert_array_equal(found.reshape(-1), [224, 96, 0])  # by hand: steps of 32.
