"""LogSum: the derivative of the sum of logarithms, and what a loss of zero does."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.weighting import LogSum

KEY = jax.random.key(0)


def weigh(losses):
    return LogSum().weigh_losses(jnp.array(losses, jnp.float32), (), KEY)[0]


def test_weights_are_the_derivatives_of_the_sum_of_logs(variant):
    losses = jnp.array([0.5, 4.0, 1e-20])
    weights, _ = variant(LogSum().weigh_losses)(losses, LogSum().init(3), KEY)
    np.testing.assert_allclose(weights, [2.0, 0.25, 1e20], rtol=1e-6)  # by hand.
    np.testing.assert_allclose(weights, jax.grad(lambda x: jnp.log(x).sum())(losses), rtol=1e-6)


def test_zero_has_weight_zero_and_what_has_no_logarithm_is_not_hidden():
    np.testing.assert_array_equal(weigh([0.0, 2.0, 1e-42]), [0.0, 0.5, 0.0])
    np.testing.assert_array_equal(weigh([-1.0, 2.0, np.nan]), [np.nan, 0.5, np.nan])
