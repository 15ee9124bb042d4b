"""Equal: ones, whatever the losses are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.weighting import Equal

KEY = jax.random.key(0)


def test_the_sum_of_the_losses(variant):
    losses = jnp.array([0.3, 40.0, 0.0])
    weights, state = variant(Equal().weigh_losses)(losses, Equal().init(3), KEY)
    np.testing.assert_array_equal(weights, [1.0, 1.0, 1.0])
    np.testing.assert_allclose(weights @ losses, 40.3, rtol=1e-6)  # by hand.
    assert state == ()


@pytest.mark.parametrize("losses", [np.ones((2, 2)), np.ones(2, int)], ids=str)
def test_refuses_what_are_no_losses(losses):
    with pytest.raises(AssertionError):
        Equal().weigh_losses(losses, (), KEY)
