"""Cutout: how large the square is, inside and at the border."""

import jax
import numpy as np
import pytest

from mtl_jax.augment import Cutout
from mtl_jax.core.validation import BadInput

IMAGE = np.full((6, 7, 2), 0.25, np.float32)
KEYS = jax.random.split(jax.random.key(0), 300)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_square_is_cut_at_the_border_only(size):
    found = np.asarray(jax.jit(jax.vmap(Cutout(size, fill=1.0), (0, None)))(KEYS, IMAGE))
    assert set(np.unique(found)) == {0.25, 1.0}
    assert (found[..., 0] == found[..., 1]).all()
    covered = found[..., 0] == 1.0
    rows, columns = covered.any(2).sum(1), covered.any(1).sum(1)
    np.testing.assert_array_equal(covered.sum((1, 2)), rows * columns)
    assert rows.max() == columns.max() == size
    # Of size 3 one row is lost at either end, of size 2 at the upper one.
    lost = (rows < size).mean()
    assert abs(lost - (size - 1) / 6) < 0.1
    assert covered.any(0).all(), "every pixel is covered some time"


def test_an_image_smaller_than_half_the_square_is_covered():
    found = jax.jit(Cutout(20))(KEYS[0], IMAGE)
    assert (np.asarray(found) == 0.0).all()


def test_a_share_of_the_width():
    image = np.zeros((6, 9, 1), np.float32)
    found = np.asarray(jax.jit(jax.vmap(Cutout(0.5, fill=1.0), (0, None)))(KEYS, image))
    assert found.any(2).sum((1, 2)).max() == 4  # by hand: half of 9, rounded down.


def test_a_random_side_is_uniform_among_whole_pixels():
    image = np.zeros((40, 40, 1), np.float32)
    policy = Cutout(3, fill=1.0, random=True)
    found = np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, image))
    sides = found.any(2).sum((1, 2)), found.any(1).sum((1, 2))
    shares = np.bincount(np.maximum(*sides), minlength=4) / len(KEYS)
    np.testing.assert_allclose(shares, 0.25, atol=0.08)


@pytest.mark.parametrize(("dtype", "wanted"), [("uint8", [51, 128]), ("float32", [0.2, 0.5])])
def test_a_fill_for_each_channel(dtype, wanted):
    image = np.zeros((5, 5, 2), dtype)
    found = jax.jit(Cutout(20, fill=(0.2, 0.5)))(KEYS[0], image)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[2, 3], np.array(wanted, dtype))


@pytest.mark.parametrize(
    "setting",
    [
        {"size": 2.0},
        {"size": 2, "fill": ()},
    ],
    ids=str,
)
def test_settings_are_checked(setting):
    with pytest.raises(BadInput, match=r"Cutout\.(size|fill|random) must"):
        Cutout(**setting)
