"""Scaled crops, resized crops and resizing, against Pillow's resize of the same window."""

import jax
import numpy as np
import pytest
from PIL import Image

from mtl_jax.augment.example import Example, Joint, RandomResizedCrop, RandomScaleCrop, Resize
from mtl_jax.core.validation import BadInput
from tests.augment.example.samples import HEIGHT, KINDS, WIDTH, assert_close, example

ONE = example()
KEYS = [jax.random.key(seed) for seed in range(6)]


def sampled(transform, key, size=(HEIGHT, WIDTH)):
    """Window x, y, width and height in the source, and the zoom."""
    mapping = transform.sample(key, size)
    (a, b), (c, d) = np.asarray(mapping.linear, float)
    assert b == c == 0.0
    height, width = transform.output_size(size)
    return (*np.asarray(mapping.offset, float), a * width, d * height), float(mapping.zoom)


def transformed(transform, key, one=ONE):
    """What a joint of one transform does with the key that makes the given sample."""
    kinds = Joint((), KINDS).kinds_of(one)
    return jax.jit(lambda key, one: transform(key, one, kinds))(key, one)


def resized(channel, window, size, method):
    x, y, width, height = window
    box = x, y, x + width, y + height
    return np.asarray(Image.fromarray(channel).resize(size[::-1], method, box=box))


def assert_as_pillow(found, window, size):
    for channel in range(3):
        wanted = resized(ONE.inputs[..., channel], window, size, Image.Resampling.BILINEAR)
        np.testing.assert_allclose(found.inputs[..., channel], wanted, atol=1e-4)
    parts = resized(ONE.labels["parts"], window, size, Image.Resampling.NEAREST)
    np.testing.assert_array_equal(found.labels["parts"], parts)


@pytest.mark.parametrize("key", KEYS)
def test_scale_crop_is_pillows_resize_of_the_window(key):
    crop = RandomScaleCrop((1.31, 1.67, 2.23))
    (x, y, width, height), zoom = sampled(crop, key)
    assert min(abs(zoom - scale) for scale in crop.scales) < 1e-6
    np.testing.assert_allclose((width, height), (WIDTH / zoom, HEIGHT / zoom), rtol=1e-5)
    assert x == round(x) and 0 <= x <= WIDTH - width and y == round(y) and 0 <= y <= HEIGHT - height
    found = transformed(crop, key)
    assert_as_pillow(found, (x, y, width, height), (HEIGHT, WIDTH))
    depth = resized(ONE.labels["depth"], (x, y, width, height), (HEIGHT, WIDTH), 0)
    np.testing.assert_allclose(found.labels["depth"], depth / zoom, rtol=1e-6)
    surface = found.labels["surface"]  # Not turned, so each is one of the image's.
    for channel in range(3):
        wanted = resized(
            ONE.labels["surface"][..., channel], (x, y, width, height), surface.shape[:2], 0
        )
        np.testing.assert_allclose(surface[..., channel], wanted, atol=1e-6)
    things = (ONE.labels["things"][:2, 1:] - [x, y, x, y]) * zoom
    np.testing.assert_allclose(found.labels["things"][:2, 1:], things, atol=1e-4)


@pytest.mark.parametrize("key", KEYS)
def test_at_scale_1_it_is_a_slice(key):
    crop = RandomScaleCrop((1.0,), size=(7, 9))
    (x, y, width, height), _ = sampled(crop, key)
    rows, columns = slice(int(y), int(y) + 7), slice(int(x), int(x) + 9)
    assert (width, height) == (9.0, 7.0)
    found = transformed(crop, key)
    np.testing.assert_array_equal(found.inputs, ONE.inputs[rows, columns])
    for name in ("parts", "heat", "depth", "surface"):
        np.testing.assert_array_equal(found.labels[name], ONE.labels[name][rows, columns])


def test_every_position_is_sampled_alike():
    crop = RandomScaleCrop((1.0,), size=(10, 16))
    keys = jax.random.split(KEYS[0], 600)
    offsets = np.asarray(jax.jit(jax.vmap(lambda key: crop.sample(key, (12, 16)).offset))(keys))
    assert {*offsets[:, 0]} == {0.0}
    values, counts = np.unique(offsets[:, 1], return_counts=True)
    assert [*values] == [0.0, 1.0, 2.0] and abs(counts / 200 - 1).max() < 0.25


@pytest.mark.parametrize("key", KEYS)
def test_a_window_larger_than_the_image_is_filled_with_what_is_missing(key):
    crop = RandomScaleCrop((1.0,), size=(15, 20))
    (x, y, _, _), _ = sampled(crop, key)
    assert -4 <= x <= 0 and -3 <= y <= 0
    inner = slice(int(-y), int(-y) + HEIGHT), slice(int(-x), int(-x) + WIDTH)
    found = transformed(crop, key)
    wanted = np.zeros((15, 20, 3), np.float32)
    wanted[inner] = ONE.inputs
    np.testing.assert_array_equal(found.inputs, wanted)
    parts = np.full((15, 20), -1)
    parts[inner] = ONE.labels["parts"]
    np.testing.assert_array_equal(found.labels["parts"], parts)
    for name in ("heat", "depth", "surface"):
        padded = np.full((15, 20, *ONE.labels[name].shape[2:]), np.nan)
        padded[inner] = ONE.labels[name]
        np.testing.assert_allclose(found.labels[name], padded, atol=1e-6)


def test_scales_between():
    keys = jax.random.split(KEYS[0], 300)
    sample = jax.jit(jax.vmap(lambda key, c: RandomScaleCrop((1.5, 0.5), c).sample(key, (8, 8)).zoom, (0, None)), static_argnums=1)  # fmt: skip
    assert {*np.unique(sample(keys, False))} == {0.5, 1.5}
    between = np.asarray(sample(keys, True))
    np.testing.assert_allclose(np.quantile(between, [0, 0.5, 1]), [0.5, 1.0, 1.5], atol=0.1)


@pytest.mark.parametrize("key", KEYS)
def test_resized_crop_is_pillows_resize_of_the_window(key):
    crop = RandomResizedCrop((17, 19), area=(0.2, 0.9), ratio=(0.5, 2.0))
    window, zoom = sampled(crop, key)
    x, y, width, height = window
    assert x >= 0 and y >= 0 and x + width < WIDTH + 1e-4 and y + height < HEIGHT + 1e-4
    fraction = width * height / (WIDTH * HEIGHT)
    assert fraction < 0.9001 and abs(zoom - fraction**-0.5) < 1e-5
    found = transformed(crop, key)
    assert_as_pillow(found, window, (17, 19))
    known = np.asarray(found.labels["depth"])[~np.isnan(found.labels["depth"])]
    assert np.isin((known * zoom).round(4), ONE.labels["depth"].round(4)).mean() > 0.99


def test_areas_and_ratios_of_windows():
    crop = RandomResizedCrop((8, 8), area=(0.25, 0.5), ratio=(0.5, 2.0))
    keys = jax.random.split(KEYS[0], 500)
    linear = np.asarray(jax.jit(jax.vmap(lambda key: crop.sample(key, (32, 32)).linear))(keys)) / 4
    area, ratio = linear[:, 0, 0] * linear[:, 1, 1], linear[:, 0, 0] / linear[:, 1, 1]
    np.testing.assert_allclose(np.quantile(area, [0, 0.5, 1]), [0.25, 0.375, 0.5], atol=0.03)
    np.testing.assert_allclose(np.quantile(ratio, [0, 0.5, 1]), [0.5, 1.0, 2.0], atol=0.12)


def test_a_window_that_does_not_fit_is_the_whole_side():
    crop = RandomResizedCrop((8, 8), area=(1.0, 1.0), ratio=(2.0, 2.0))
    (_, _, width, height), _ = sampled(crop, KEYS[0], (10, 10))
    np.testing.assert_allclose((width, height), (10.0, 50**0.5), rtol=1e-5)


def test_resize_is_pillows(variant):
    joint = Joint((Resize((32, 48)),), KINDS)
    found = variant(joint)(KEYS[0], ONE)
    assert_as_pillow(found, (0, 0, WIDTH, HEIGHT), (32, 48))
    depth = np.asarray(found.labels["depth"])
    assert np.isin(depth[~np.isnan(depth)], ONE.labels["depth"]).all()
    things = ONE.labels["things"][:2, 1:] * np.array([3.0, 8 / 3, 3.0, 8 / 3])
    np.testing.assert_allclose(found.labels["things"][:2, 1:], things, rtol=1e-5)


def test_resize_averages_what_shrinks():
    found = Joint((Resize((3, 4)),), KINDS)(KEYS[0], ONE)
    blocks = ONE.inputs.reshape(3, 4, 4, 4, 3).mean((1, 3))
    np.testing.assert_allclose(found.inputs, blocks, atol=1e-6)
    heat = ONE.labels["heat"][..., 1].reshape(3, 4, 4, 4).mean((1, 3))
    np.testing.assert_allclose(found.labels["heat"][..., 1], heat, atol=1e-5)
    np.testing.assert_array_equal(found.labels["parts"], ONE.labels["parts"][2::4, 2::4])


def test_the_same_size_is_the_identity():
    assert_close(Joint((Resize((HEIGHT, WIDTH)),), KINDS)(KEYS[0], ONE), ONE)


def test_a_gray_level_is_rounded_to_the_nearest():
    image = np.array([[0, 3], [0, 3]], np.uint8)[..., None]
    found = Joint((Resize((2, 4)),))(KEYS[0], Example(image, {})).inputs
    assert found.dtype == np.uint8 and found[0, :, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Resize((0, 4)), "size"),
        (lambda: Resize((2, 2, 2)), "size"),
        (lambda: RandomScaleCrop(()), "scales"),
        (lambda: RandomScaleCrop((0.0,)), "scales"),
        (lambda: RandomScaleCrop((1.0, float("nan"))), "scales"),
        (lambda: RandomScaleCrop(size=(3, -1)), "size"),
        (lambda: RandomResizedCrop((4, 4), area=(0.5, 0.2)), "area"),
        (lambda: RandomResizedCrop((4, 4), area=(0.5, 1.2)), "area"),
        (lambda: RandomResizedCrop((4, 4), ratio=(0.0, 1.0)), "ratio"),
    ],
)
def test_bad_settings(make, field):
    with pytest.raises(BadInput, match=rf"\w+\.{field} must"):
        make()
