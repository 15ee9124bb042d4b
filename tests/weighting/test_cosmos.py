"""COSMOS: its value, weights on and off the ray, and losses of zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.weighting import COSMOS, cosmos_value

KEY = jax.random.key(0)


def weigh(method, losses):
    losses = jnp.array(losses, jnp.float32)
    return method.weigh_losses(losses, method.init(len(losses)), KEY)[0]


def test_value_and_weights(variant):
    losses, share = jnp.array([4.0, 3.0]), jnp.array([1.0, 0.0])
    value = variant(cosmos_value)(losses, share, 2.0)
    np.testing.assert_allclose(value, 4.0 - 2.0 * 0.8, rtol=1e-6)  # by hand.
    method = COSMOS(sharpness=2.0, weights=(1.0, 0.0))
    weights, _ = variant(method.weigh_losses)(losses, method.init(2), KEY)
    # By hand: the cosine 0.8 has the derivative (9, -12) / 125.
    np.testing.assert_allclose(weights, [1.0 - 18 / 125, 24 / 125], rtol=1e-6)


def test_on_the_ray_the_weights_are_the_ray():
    method = COSMOS(sharpness=5.0, weights=(0.2, 0.8))
    np.testing.assert_allclose(weigh(method, [1.0, 4.0]), [0.2, 0.8], rtol=1e-5)
    assert weigh(method, [0.1, 4.0])[0] < 0.0  # Too small for the ray.


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e15])
def test_second_term_scales_inversely(scale):
    method, losses = COSMOS(sharpness=3.0), np.array([1.0, 2.0, 0.5])
    once = weigh(method, losses) - 1 / 3
    tiny = weigh(COSMOS(sharpness=3.0 * scale), scale * losses) - 1 / 3
    np.testing.assert_allclose(tiny, once, rtol=1e-4)


def test_zero_losses_and_nan():
    np.testing.assert_allclose(weigh(COSMOS(), [0.0, 0.0]), [0.5, 0.5])
    assert cosmos_value(jnp.zeros(2), jnp.ones(2), 1.0) == 0.0
    assert np.isnan(weigh(COSMOS(), [1.0, np.nan])).all()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"weights": (1.0, -1.0)}, "COSMOS.weights must be a tuple of finite numbers of at least"),
    ],
)
def test_bad_settings(settings, text):
    with pytest.raises(BadInput, match=text):
        COSMOS(**settings)


def test_another_number_of_tasks_is_refused():
    with pytest.raises(BadInput, match=r"COSMOS\.weights must have 3 entries, not"):
        COSMOS(weights=(1.0, 2.0)).init(3)
