"""What a loss says of its targets."""

import functools

import jax.numpy as jnp
import pytest

from mtl_jax.losses import binary_cross_entropy, cross_entropy, squared_error
from mtl_jax.losses.target_type import target_type


def own(outputs, targets):
    return jnp.zeros(len(outputs))


@pytest.mark.parametrize(
    ("loss", "outputs", "expected"),
    [
        (cross_entropy, 3, "multiclass"),
        (cross_entropy, 1, "multiclass"),
        (binary_cross_entropy, 1, "binary"),
        (binary_cross_entropy, 4, "multilabel"),
        (squared_error, 1, "continuous"),
        (squared_error, 4, "continuous"),
        (functools.partial(functools.partial(squared_error)), 1, "continuous"),
        (own, 1, None),
    ],
)
def test_target_type(loss, outputs, expected):
    assert target_type(loss, outputs) == expected
