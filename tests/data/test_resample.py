"""Resampling: values by hand, by blocks and by Pillow; windows that pass the edges."""

import numpy as np
import pytest
from PIL import Image

from mtl_jax.data.files.resample import resample

IMAGES = np.random.default_rng(0).random((3, 8, 12, 2), np.float32)


def whole(images, size):
    """Whole images at another size."""
    high = np.array([images.shape[1:3]], float)
    return resample(images, np.zeros((1, 2)), high, size)


def row(values):
    """An image of one row."""
    return np.array(values, np.float32)[None, None, :, None]


@pytest.mark.parametrize(
    ("low", "high", "size", "expected"),
    [
        (0.0, 3.0, 2, [8 / 1.5, 20 / 1.5]),  # by hand: 1.5 old pixels each.
        (1.0, 3.0, 2, [8.0, 16.0]),
        (0.5, 2.5, 2, [6.0, 12.0]),  # by hand: half of each neighbour.
        (1.0, 2.0, 2, [7.0, 10.0]),  # by hand: 3/4 of 8 with 1/4 of 4, and of 16.
        (-1.0, 1.0, 2, [0.0, 4.0]),
        (2.0, 4.0, 1, [8.0]),  # by hand: half of the window lies outside.
        (0.0, 3.0, 1, [28 / 3]),
    ],
)
def test_a_row_by_hand(low, high, size, expected):
    found = resample(row([4, 8, 16]), np.array([[0.0, low]]), np.array([[1.0, high]]), (1, size))
    np.testing.assert_allclose(found[0, 0, :, 0], expected, rtol=1e-6)


def test_blocks_are_averaged():
    found = whole(IMAGES, (4, 3))
    expected = IMAGES.reshape(3, 4, 2, 3, 4, 2).mean((2, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32


def test_its_own_size_is_the_image():
    np.testing.assert_array_equal(whole(IMAGES, (8, 12)), IMAGES)


def test_enlarging_is_linear_as_pillow_has_it():
    found = whole(IMAGES, (20, 30))
    for image, large in zip(IMAGES, found, strict=True):
        for channel in (0, 1):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            expected = np.asarray(plane.resize((30, 20), Image.Resampling.BILINEAR))
            # Beyond the edge Pillow leaves out what is black here.
            inner = (slice(2, -2), slice(2, -2))
            np.testing.assert_allclose(large[..., channel][inner], expected[inner], atol=1e-6)


def test_ink_is_kept_by_any_shrinking():
    found = whole(IMAGES, (5, 7))
    np.testing.assert_allclose(found.mean((1, 2)), IMAGES.mean((1, 2)), rtol=1e-5)
    assert IMAGES.min() <= found.min() and found.max() <= IMAGES.max()


def test_each_image_has_a_window_of_its_own():
    low, high = np.array([[0, 0], [1, 2], [-2, 3]]), np.array([[4, 4], [5, 6], [2, 7]])
    found = resample(IMAGES, low, high, (4, 4))
    np.testing.assert_array_equal(found[0], IMAGES[0, :4, :4])
    np.testing.assert_array_equal(found[1], IMAGES[1, 1:5, 2:6])
    np.testing.assert_array_equal(found[2, 2:], IMAGES[2, :2, 3:7])
    assert not found[2, :2].any()
