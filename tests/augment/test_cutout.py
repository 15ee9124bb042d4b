"""Cutout: how large the square is, inside and at the border."""

import jax
import numpy as np
import pytest

from mtl_jax.augment import Cutout
from mtl_jax.checks import BadInput

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


@pytest.mark.parametrize(
    "setting", [{"size": -1}, {"size": 2.0}, {"size": 2, "fill": 1.5}], ids=str
)
def test_settings_are_checked(setting):
    with pytest.raises(BadInput, match=r"Cutout\.(size|fill) must"):
        Cutout(**setting)
