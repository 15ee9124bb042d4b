"""Places: which way things move, and what comes from outside."""

import jax
import numpy as np

from mtl_jax.augment.image.geometric import (
    rotate,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
)

GREY = np.random.default_rng(0).integers(1, 256, (6, 6, 2)).astype(np.float32)
FILL = np.array([300.0, -5.0], np.float32)


def of(function, amount):
    return np.asarray(jax.jit(function)(GREY, np.float32(amount), FILL))


def test_right_angles_turn_counter_clockwise():
    np.testing.assert_array_equal(of(rotate, 90.0), np.rot90(GREY))
    np.testing.assert_array_equal(of(rotate, -90.0), np.rot90(GREY, -1))


def test_translations_bring_the_fill_of_each_channel():
    found = of(translate_x, 2.0)
    np.testing.assert_array_equal(found[:, :4], GREY[:, 2:])
    assert (found[:, 4:, 0] == 300.0).all() and (found[:, 4:, 1] == -5.0).all()
    found = of(translate_y, -1.0)
    np.testing.assert_array_equal(found[1:], GREY[:-1])
    assert (found[0, :, 0] == 300.0).all()


def test_shears_move_by_the_distance_from_the_corner():
    found = of(shear_x, 1.0)  # row y and a half: its middle stands at y + 1/2.
    np.testing.assert_array_equal(found[3, :2], GREY[3, 4:])
    found = of(shear_y, 1.0)
    np.testing.assert_array_equal(found[:2, 3], GREY[4:, 3])
