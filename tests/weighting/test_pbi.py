"""PBI: its value, weights on and off the ray, and losses of zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.weighting import PBI, pbi_value

KEY = jax.random.key(0)


def weigh(method, losses):
    losses = jnp.array(losses, jnp.float32)
    return method.weigh_losses(losses, method.init(len(losses)), KEY)[0]


def test_value_and_weights(variant):
    losses, share = jnp.array([4.0, 3.0]), jnp.array([2.0, 0.0])
    value = variant(pbi_value)(losses, share, 2.0)
    np.testing.assert_allclose(value, 4.0 + 2.0 * 3.0, rtol=1e-6)  # by hand.
    method = PBI(theta=2.0, weights=(2.0, 0.0))
    weights, _ = variant(method.weigh_losses)(losses, method.init(2), KEY)
    np.testing.assert_allclose(weights, [1.0, 2.0], rtol=1e-6)  # by hand: u + theta e.


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-6, 1.0, 1e15])
def test_on_the_ray_rounding_has_no_direction(scale):
    for ray in ((0.3, 0.7), (0.1, 0.4, 0.3, 0.2), (0.3,), (1.0,) * 40):
        wanted = np.array(ray) / np.linalg.norm(ray)
        weights = weigh(PBI(theta=100.0, weights=ray), scale * np.array(ray))
        np.testing.assert_allclose(weights, wanted, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e15])
def test_weights_do_not_change_with_the_scale(scale):
    losses = np.array([1.0, 2.0, 0.5])
    np.testing.assert_allclose(weigh(PBI(), scale * losses), weigh(PBI(), losses), rtol=1e-4)
    assert weigh(PBI(), losses)[2] < 0.0  # Too small for the ray.


def test_nan_is_not_hidden():
    assert np.isnan(weigh(PBI(), [1.0, np.nan])).all()


def test_another_number_of_tasks_is_refused():
    with pytest.raises(BadInput, match=r"PBI\.weights must have 3 entries, not"):
        PBI(weights=(1.0, 2.0)).init(3)
