"""Resizing: linear functions stay linear, corners stay corners."""

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.nets.resize import resize, resize_between_corners

PLANE = jnp.asarray(np.add.outer(2.0 * np.arange(4), 3.0 * np.arange(5)))[None, :, :, None]


@pytest.mark.parametrize("size", [(7, 9), (4, 5), (2, 3), (1, 1)])
def test_corners_stay_corners(size):
    rows, columns = (np.linspace(0, n - 1, m) for n, m in zip((4, 5), size, strict=True))
    wanted = np.add.outer(2.0 * rows, 3.0 * columns)
    got = resize_between_corners(PLANE, size)
    np.testing.assert_allclose(got[0, :, :, 0], wanted, rtol=1e-5, atol=1e-5)


def test_centers_of_pixels_by_hand():
    x = jnp.array([1.0, 3.0])[None, None, :, None]
    np.testing.assert_allclose(resize(x, (1, 4))[0, 0, :, 0], [1.0, 1.5, 2.5, 3.0], rtol=1e-6)
    assert resize(x, (1, 2)) is x and resize(x, None) is x
