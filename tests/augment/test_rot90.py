"""Quarter turns: where the corners go, and what is refused."""

import jax
import numpy as np
import pytest

from mtl_jax.augment import rot90

IMAGE = np.array([[1, 2], [3, 4]], np.uint8)[..., None]


@pytest.mark.parametrize(
    ("turns", "corners"),
    [
        (0, [1, 2, 3, 4]),
        (1, [2, 4, 1, 3]),
        (2, [4, 3, 2, 1]),
        (3, [3, 1, 4, 2]),
        (-1, [3, 1, 4, 2]),
    ],
)
def test_corners(turns, corners):
    found = rot90(IMAGE, turns)
    np.testing.assert_array_equal(np.ravel(found), corners)  # by hand
    assert found.dtype == np.uint8


def test_every_image_by_its_own_turns():
    images = np.random.default_rng(0).uniform(size=(4, 5, 5, 3)).astype(np.float32)
    turns = np.array([2, 0, 3, 1], np.int32)
    found = jax.jit(jax.vmap(rot90))(images, turns)
    for image, turn, ours in zip(images, turns, found, strict=True):
        np.testing.assert_array_equal(ours, np.rot90(image, turn))


def test_an_image_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match=r"square image .* \(2, 3, 1\)"):
        rot90(np.zeros((2, 3, 1)), 1)
