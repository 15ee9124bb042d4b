"""Mean: 1/K each, whatever the losses are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.weighting import Mean

KEY = jax.random.key(0)


def test_the_mean_of_the_losses(variant):
    losses = jnp.array([0.3, 40.0, 0.0, -1.0])
    weights, state = variant(Mean().weigh_losses)(losses, Mean().init(4), KEY)
    np.testing.assert_array_equal(weights, [0.25] * 4)
    np.testing.assert_allclose(weights @ losses, losses.mean(), rtol=1e-6)
    assert state == ()


@pytest.mark.parametrize("losses", [np.ones((2, 2)), np.ones(2, int)], ids=str)
def test_refuses_what_are_no_losses(losses):
    with pytest.raises(AssertionError):
        Mean().weigh_losses(losses, (), KEY)
