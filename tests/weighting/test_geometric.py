"""Geometric: its value, its weights, and losses that are zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.weighting import Geometric, geometric_value

KEY = jax.random.key(0)


def weigh(losses):
    return Geometric().weigh_losses(jnp.array(losses, jnp.float32), (), KEY)[0]


def test_value_and_weights(variant):
    losses = jnp.array([1.0, 4.0])
    np.testing.assert_allclose(variant(geometric_value)(losses), 2.0, rtol=1e-6)  # by hand.
    weights, _ = variant(Geometric().weigh_losses)(losses, Geometric().init(2), KEY)
    np.testing.assert_allclose(weights, [1.0, 0.25], rtol=1e-6)  # by hand: 2 / (2 L).


def test_many_large_losses_do_not_overflow():
    losses = jnp.full(50, 1e10)
    np.testing.assert_allclose(geometric_value(losses), 1e10, rtol=1e-4)
    np.testing.assert_allclose(weigh(losses), 1 / 50, rtol=1e-4)


def test_a_loss_of_zero_is_left_out():
    np.testing.assert_allclose(weigh([1.0, 0.0, 4.0]), [1.0, 0.0, 0.25], rtol=1e-6)
    np.testing.assert_array_equal(weigh([0.0, 0.0]), [0.0, 0.0])
    assert geometric_value(jnp.zeros(2)) == 0.0


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_what_has_no_logarithm_is_not_hidden(bad):
    assert not np.isfinite(weigh([1.0, bad])).all()


@pytest.mark.parametrize("losses", [np.ones((2, 2)), np.ones(2, int)], ids=str)
def test_refuses_what_are_no_losses(losses):
    with pytest.raises(AssertionError):
        geometric_value(losses)
