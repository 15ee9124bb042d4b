"""Which numbers of a setting may differ between settings that share a program."""

import dataclasses
import functools

import optax
import pytest

from mtl_jax import consistency, losses, nets, optimizers, weighting
from mtl_jax.core.numbers import numbers_in, structure, with_numbers


def test_floats_are_numbers_wherever_they_are():
    schedule = optimizers.CosineSchedule(0.1, cycles=0.5)
    assert numbers_in(optimizers.Adam(schedule, 0.2)) == {
        ("learning_rate", "peak"): 0.1,
        ("learning_rate", "cycles"): 0.5,
        ("weight_decay",): 0.2,
    }
    assert numbers_in(optimizers.Optax(optax.lamb, learning_rate=0.1)) == {("learning_rate",): 0.1}
    assert numbers_in(functools.partial(losses.cross_entropy, smoothing=0.1)) == {
        ("smoothing",): 0.1
    }


@pytest.mark.parametrize(
    ("setting", "other", "path"),
    [
        (optimizers.SGD(1), optimizers.SGD(0.5), ("learning_rate",)),
        (optimizers.SGD(0.1, weight_decay=0), optimizers.SGD(0.1, 0.9, 0.5), ("weight_decay",)),
        (weighting.Constant((1, 0.5)), weighting.Constant((0.2, 2)), ("weights", "0")),
        (consistency.FixMatch(1), consistency.FixMatch(0.5), ("mask", "threshold")),
    ],
)
def test_an_integer_in_the_place_of_a_float_is_a_number(setting, other, path):
    assert type(numbers_in(setting)[path]) is float
    assert numbers_in(setting).keys() == numbers_in(other).keys()
    assert structure(setting) == structure(other)
    assert with_numbers(setting, numbers_in(other)) == other


@dataclasses.dataclass(frozen=True)
class Own:
    """A class of a user, whose types nothing checks."""

    rate: float = 1
    count: "Unknown" = 2  # noqa: F821


def test_other_integers_are_none():
    assert numbers_in(nets.MLP((3,))) == {}
    assert numbers_in(Own()) == {} and numbers_in(Own(0.5)) == {("rate",): 0.5}
    assert structure(optimizers.SGD(1)) != structure(optimizers.SGD(optimizers.CosineSchedule(1)))
