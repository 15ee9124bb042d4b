"""delta: values by hand, sums over the batch, and what the attention is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import behaviour, channel_weights, delta

# Two images of 2 x 1 places and 3 channels, which differ by 1, 2 and 3 everywhere.
SOURCE = jnp.ones((2, 2, 1, 3))
MAPS = SOURCE + jnp.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
WEIGHTS = jnp.array([0.5, 0.25, 0.25])


def test_values(variant):
    assert variant(behaviour)(MAPS, SOURCE) == 28.0  # by hand: 4 (1 + 4 + 9) / 2
    # By hand: 3 / (2 * 2) of 4 (0.5 + 1 + 2.25).
    np.testing.assert_allclose(variant(delta)(MAPS, SOURCE, WEIGHTS), 11.25)


def test_a_batch_is_summed():
    one = delta(MAPS[:1], SOURCE[:1], WEIGHTS)
    np.testing.assert_allclose(delta(MAPS, SOURCE, WEIGHTS), 2.0 * one)


@pytest.mark.parametrize("loss", [behaviour, delta])
def test_equal_maps_cost_nothing(loss):
    assert loss(MAPS, MAPS, *(WEIGHTS,) * (loss is delta)) == 0.0


def test_nothing_flows_into_the_source_or_the_weights():
    slopes = jax.grad(delta, (0, 1, 2))(MAPS, SOURCE, WEIGHTS)
    np.testing.assert_allclose(slopes[0][0, 0, 0], [0.75, 0.75, 1.125])  # by hand: 1.5 w d
    assert not slopes[1].any() and not slopes[2].any()


def test_channel_weights(variant):
    # By hand: of (1, 3) the mean is 2 and the spread 1; softmax(-0.2, 0.2).
    found = variant(channel_weights)(jnp.array([1.0, 3.0]))
    np.testing.assert_allclose(found, [0.401312, 0.598688], rtol=1e-5)


@pytest.mark.parametrize("rise", [0.0, 0.1, -3e15])
def test_equal_rises_give_equal_weights(rise):
    np.testing.assert_allclose(channel_weights(jnp.full(7, rise)), jnp.full(7, 1 / 7), rtol=1e-6)


def test_shape_and_temperature_are_checked():
    with pytest.raises(ValueError, match="of the same shape"):
        delta(MAPS, SOURCE[:1], WEIGHTS)
    with pytest.raises(ValueError, match=r"weights \[C\] = \(3,\), not \(2,\)"):
        delta(MAPS, SOURCE, WEIGHTS[:2])
    with pytest.raises(BadInput, match=r"channel_weights\.temperature must be above 0"):
        channel_weights(WEIGHTS, temperature=0.0)
    with pytest.raises(ValueError, match=r"rises \[C\]"):
        channel_weights(WEIGHTS[None])
