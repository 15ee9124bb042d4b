"""Features of every type: dropped channels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.features import Pyramid, Tokens, drop_channels

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(50, 40), (50, 3, 40), (50, 3, 2, 40)], ids=str)
@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5])
def test_whole_channels_of_each_example_are_dropped(shape, rate):
    found = np.asarray(drop_channels(KEY, jnp.ones(shape), rate)).reshape(50, -1, 40)
    assert set(np.unique(found)) <= {0.0, np.float32(1 / (1 - rate))}
    assert (found == found[:, :1]).all()
    # 4 standard deviations of the share of 2000 channels.
    np.testing.assert_allclose((found[:, 0] == 0).mean(), rate, atol=4 * np.sqrt(0.25 / 2000))
    if rate:
        assert len(np.unique(found[:, 0], axis=0)) == 50


def test_a_tree_has_other_channels_in_each_array():
    first, second = drop_channels(
        KEY, Pyramid((jnp.ones((9, 4, 4, 20)), jnp.ones((9, 2, 2, 20)))), 0.5
    )[0]
    assert (first[:, 0, 0] != second[:, 0, 0]).any()


def test_a_mask_of_tokens_and_integers_stay():
    tokens = Tokens(jnp.ones((8, 20)), jnp.ones((8, 3, 20)), jnp.ones((8, 3)))
    found = drop_channels(KEY, tokens, 0.5)
    np.testing.assert_array_equal(found.mask, tokens.mask)
    assert (found.tokens == 0).any() and (found.summary == 0).any()
    index = jnp.arange(8).reshape(2, 4)
    np.testing.assert_array_equal(drop_channels(KEY, {"index": index}, 0.9)["index"], index)


def test_the_gradient_is_that_of_the_kept_channels():
    x = jnp.ones((3, 2, 8))
    grad = jax.grad(lambda x: drop_channels(KEY, x, 0.5).sum())(x)
    np.testing.assert_array_equal(grad, drop_channels(KEY, x, 0.5))
