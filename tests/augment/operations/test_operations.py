"""Operations as settings: level 0, level 1, the way of the sign, and the ranges."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax.augment.image import blend, geometric, operations, pointwise

GREY = np.random.default_rng(0).integers(0, 256, (8, 10, 3)).astype(np.float32)
FILL = np.zeros(3, np.float32)
CLASSES = [make for name, make in vars(operations).items() if name[0].isupper()]
AT_ZERO = [
    operations.Blur(),
    operations.Identity(),
    operations.Posterize(),
    operations.Rotate(),
    operations.ShearX(),
    operations.ShearY(),
    operations.Smooth(),
    operations.Solarize(),
    operations.TranslateX(),
    operations.TranslateY(),
]


def of(operation, level, sign=1.0):
    return np.asarray(jax.jit(operation)(GREY, np.float32(level), np.float32(sign), FILL))


@pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)
def test_levels_come_out_and_repr_makes_it_again(make):
    operation = make()
    assert eval(repr(operation), dict(vars(operations))) == operation
    assert hash(operation) == hash(make())
    out = of(operation, 0.7, -1.0)
    assert out.shape == GREY.shape and out.dtype == np.float32
    np.testing.assert_array_equal(out, np.round(out).clip(0, 255))


@pytest.mark.parametrize("operation", AT_ZERO, ids=str)
def test_level_zero_changes_nothing(operation):
    np.testing.assert_array_equal(of(operation, 0.0), GREY)


@pytest.mark.parametrize(
    ("operation", "level", "function", "amount"),
    [
        (operations.Brightness(0.2, 1.2), 0.5, blend.brightness, 0.7),
        (operations.Color(0.2, 1.2), 1.0, blend.color, 1.2),
        (operations.Posterize(), 0.9, pointwise.posterize, 5),
        (operations.Posterize(max_bits=7, min_bits=3), 0.1, pointwise.posterize, 7),
        (operations.Solarize(strength=100.0), 0.5, pointwise.solarize, 206.0),
    ],
)
def test_amounts_by_hand(operation, level, function, amount):
    wanted = jax.jit(function)(GREY, np.float32(amount))
    np.testing.assert_array_equal(of(operation, level), wanted)


@pytest.mark.parametrize(
    ("operation", "function", "amount"),
    [
        (operations.Rotate(40.0), geometric.rotate, 20.0),
        (operations.ShearX(0.4), geometric.shear_x, 0.2),
        (operations.ShearY(0.4), geometric.shear_y, 0.2),
        (operations.TranslateX(0.4), geometric.translate_x, 2.0),  # of ten columns.
        (operations.TranslateY(0.5), geometric.translate_y, 2.0),  # of eight rows.
    ],
)
def test_the_sign_says_which_way(operation, function, amount):
    for sign in (-1.0, 1.0):
        wanted = jax.jit(function)(GREY, np.float32(sign * amount), FILL)
        np.testing.assert_array_equal(of(operation, 0.5, sign), wanted)


def test_settings_stand_still():
    with pytest.raises(dataclasses.FrozenInstanceError):
        operations.Rotate().degrees = 3.0
