"""Random: the distributions of the weights, and that losses do not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.weighting import Random

KEYS = jax.random.split(jax.random.key(0), 2000)


def drawn(method, losses):
    return jax.jit(jax.vmap(lambda key: method.weigh_losses(losses, (), key)[0]))(KEYS)


@pytest.mark.parametrize("name", ["normal", "uniform"])
def test_weights_are_positive_sum_to_one_and_ignore_the_losses(name):
    method = Random(distribution=name)
    weights = drawn(method, jnp.array([1.0, 5.0, 0.0]))
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(weights.mean(0), 1 / 3, atol=0.02)
    np.testing.assert_array_equal(drawn(method, jnp.zeros(3)), weights)


@pytest.mark.parametrize(("name", "variance"), [("normal", 2.0), ("uniform", 1 / 6)])
def test_log_ratio_of_two_weights_has_the_variance_of_a_difference(name, variance):
    weights = drawn(Random(distribution=name), jnp.ones(2))
    ratio = np.log(weights[:, 0] / weights[:, 1])  # z_1 - z_2, by hand.
    np.testing.assert_allclose(ratio.var(), variance, rtol=0.1)
