"""Reading at positions, against Pillow: its transform, its resize and its reduction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from mtl_jax.augment.example.affine_map import AffineMap
from mtl_jax.augment.example.resample import read_linear, read_nearest

DRAW = np.random.default_rng(0)
IMAGE = DRAW.uniform(size=(13, 17)).astype(np.float32)
LABELS = DRAW.integers(0, 200, (13, 17)).astype(np.int32)
SIZE = (11, 19)
# Linear part and offset, as Pillow's coefficients a, b, d, e and c, f.
MAPS = [
    ((1.0, 0.0, 0.0, 1.0), (0.0, 0.0)),
    ((-1.0, 0.0, 0.0, 1.0), (17.0, 2.0)),
    ((0.71, 0.13, -0.2, 0.83), (1.37, 2.11)),
    ((0.31, -0.52, 0.44, 0.37), (6.13, -2.71)),
    ((1.0, 0.0, 0.0, 1.0), (100.0, -100.0)),
]


def mapping(linear, offset):
    return AffineMap(jnp.array(linear).reshape(2, 2), jnp.array(offset), jnp.ones(()))


def pillow(array, linear, offset, mode, size=SIZE):
    data = (*linear[:2], offset[0], *linear[2:], offset[1])
    image = Image.fromarray(array)
    return np.asarray(image.transform(size[::-1], Image.Transform.AFFINE, data, mode))


@pytest.mark.parametrize(("linear", "offset"), MAPS)
def test_interpolates_as_pillow(variant, linear, offset):
    read = variant(lambda x, m: read_linear(x, m, SIZE, 0.0))
    found = np.asarray(read(IMAGE[..., None], mapping(linear, offset)))[..., 0]
    wanted = pillow(IMAGE, linear, offset, Image.Resampling.BILINEAR)
    np.testing.assert_allclose(found, wanted, atol=2e-5)


@pytest.mark.parametrize(("linear", "offset"), MAPS)
def test_reads_the_pixel_that_pillow_reads(variant, linear, offset):
    read = variant(lambda x, m: read_nearest(x, m, SIZE, -1))
    found = np.asarray(read(LABELS, mapping(linear, offset)))
    wanted = pillow(LABELS + 1, linear, offset, Image.Resampling.NEAREST) - 1  # 0 is its fill.
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("size", [(26, 51), (20, 23), (13, 17)])
def test_enlarges_as_pillow(size):
    scale = 17 / size[1], 13 / size[0]
    whole = mapping((scale[0], 0.0, 0.0, scale[1]), (0.0, 0.0))
    found = np.asarray(read_linear(IMAGE[..., None], whole, size, 0.0))[..., 0]
    image = Image.fromarray(IMAGE).resize(size[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_allclose(found, image, atol=1e-5)
    if size == (26, 51):  # At the others some centers lie between two pixels.
        labels = Image.fromarray(LABELS).resize(size[::-1], Image.Resampling.NEAREST)
        np.testing.assert_array_equal(read_nearest(LABELS, whole, size, -1), labels)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrinks_by_whole_numbers_as_pillow_reduces(factor):
    image = DRAW.uniform(size=(12, 24)).astype(np.float32)
    whole = mapping((factor, 0.0, 0.0, factor), (0.0, 0.0))
    size = 12 // factor, 24 // factor
    found = read_linear(image[..., None], whole, size, 0.0, float(factor))
    np.testing.assert_allclose(found[..., 0], Image.fromarray(image).reduce(factor), atol=1e-5)


def test_what_may_shrink_but_does_not_is_not_blurred():
    found = read_linear(IMAGE[..., None], mapping(*MAPS[0]), (13, 17), 0.0, 3.0)
    np.testing.assert_allclose(found[..., 0], IMAGE, atol=1e-6)


def test_a_constant_stays_constant_inside():
    linear, offset = (1.3, 0.4, -0.4, 1.3), (3.0, 3.0)
    found = read_linear(np.ones((40, 40, 1), np.float32), mapping(linear, offset), (9, 9), 0.0, 3.0)
    assert np.abs(np.asarray(found)[4:, :] - 1.0).max() < 1e-6


def test_no_value_is_read_across_an_axis_of_channels():
    many = DRAW.uniform(size=(13, 17, 2, 3)).astype(np.float32)
    found = np.asarray(jax.jit(lambda x, m: read_linear(x, m, SIZE, 0.0))(many, mapping(*MAPS[2])))
    one = read_linear(many[..., 1, 2], mapping(*MAPS[2]), SIZE, 0.0)
    np.testing.assert_allclose(found[..., 1, 2], one, atol=1e-6)
