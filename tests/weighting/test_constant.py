"""Constant: the weights of the settings, and settings that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.weighting import Constant, Equal

KEY = jax.random.key(0)


def test_weights_are_those_given(variant):
    method = Constant(weights=(0.5, 0, 3.0))
    weights, _ = variant(method.weigh_losses)(jnp.array([7.0, 1.0, 0.0]), method.init(3), KEY)
    np.testing.assert_array_equal(weights, [0.5, 0.0, 3.0])


def test_none_is_the_sum():
    losses = jnp.array([7.0, 1.0])
    ones = Equal().weigh_losses(losses, (), KEY)[0]
    np.testing.assert_array_equal(Constant().weigh_losses(losses, (), KEY)[0], ones)


@pytest.mark.parametrize(
    "weights",
    [(1.0, -1.0)],
    ids=str,
)
def test_bad_settings(weights):
    with pytest.raises(BadInput, match=r"Constant.weights must be a tuple of finite numbers of at"):
        Constant(weights=weights)


def test_another_number_of_tasks_is_refused():
    with pytest.raises(BadInput, match=r"Constant.weights must have 3 entries, not \(1.0, 2.0\)"):
        Constant(weights=(1.0, 2.0)).init(3)
