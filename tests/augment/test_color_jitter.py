"""ColorJitter: each part by hand for a given draw, the ranges, and pictures without colour."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.augment import ColorJitter
from mtl_jax.augment.image.color_jitter import rotate_hue, to_factor

IMAGE = np.array([[[0.2, 0.4, 0.8], [1.0, 0.5, 0.0]]], np.float32)
GREY = np.array([0.3858, 0.5925])  # by hand: 0.299 R + 0.587 G + 0.114 B


def changed(policy, *draw):
    return np.asarray(policy.transform(jnp.asarray(IMAGE), jnp.array(draw, jnp.float32)))


def test_brightness_multiplies_and_clips():
    found = changed(ColorJitter(brightness=0.5), 1.0, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(found[0], [[0.3, 0.6, 1.0], [1.0, 0.75, 0.0]], atol=1e-6)  # by hand


def test_contrast_moves_towards_the_mean_of_the_grey_image():
    found = changed(ColorJitter(contrast=1.0), 0.0, -1.0, 0.0, 0.0)
    np.testing.assert_allclose(found, GREY.mean(), atol=1e-6)
    found = changed(ColorJitter(contrast=0.5), 0.0, -1.0, 0.0, 0.0)
    np.testing.assert_allclose(found, (IMAGE + GREY.mean()) / 2, atol=1e-6)


def test_saturation_moves_towards_each_pixels_grey():
    found = changed(ColorJitter(saturation=0.5), 0.0, 0.0, -1.0, 0.0)
    np.testing.assert_allclose(found, (IMAGE + GREY[None, :, None]) / 2, atol=1e-6)


def test_a_third_of_the_circle_changes_the_channels():
    found = rotate_hue(jnp.asarray(IMAGE), jnp.float32(1 / 3))
    np.testing.assert_allclose(found, IMAGE[..., [2, 0, 1]], atol=1e-6)  # by hand: red to green


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 0.45])
def test_hue_agrees_with_colorsys(turn):
    image = np.random.default_rng(0).uniform(size=(4, 5, 3)).astype(np.float32)
    image[0] = image[0, :, :1]  # grey
    image[1, 0], image[1, 1] = 0.0, [0.0, 0.7, 0.7]
    found = np.asarray(jax.jit(rotate_hue)(image, jnp.float32(turn)))
    for pixel, ours in zip(image.reshape(-1, 3), found.reshape(-1, 3), strict=True):
        hue, *rest = colorsys.rgb_to_hsv(*map(float, pixel))
        np.testing.assert_allclose(ours, colorsys.hsv_to_rgb((hue + turn) % 1, *rest), atol=1e-5)


@pytest.mark.parametrize(("strength", "low", "high"), [(0.3, 0.7, 1.3), (2.0, 0.0, 3.0)])
def test_factors_lie_where_torchvision_has_them(strength, low, high):
    ends = to_factor(jnp.array([-1.0, 1.0]), strength)
    np.testing.assert_allclose(ends, [low, high], rtol=1e-6)  # by hand: max(0, 1 - s)..1 + s


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grey_image_keeps_its_colours(channels):
    image = np.broadcast_to(np.float32([0.1, 0.5, 0.9]).reshape(1, 3, 1), (1, 3, channels))
    found = jax.jit(ColorJitter(saturation=1.0, hue=0.5))(jax.random.key(0), image)
    np.testing.assert_allclose(found, image, atol=1e-6)
