"""Attention: a value by hand, what it does not depend on, where gradients stop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.transfer import attention_transfer

MAPS, OTHERS = jax.random.normal(jax.random.key(0), (2, 4, 3, 2, 5))


def test_value(variant):
    student = jnp.array([[[1.0, 2.0], [1.0, 0.0]]])  # q = (5, 1)
    teacher = jnp.array([[[3.0**0.5], [2.0]]])  # q = (3, 4)
    wanted = ((5 / 26**0.5 - 0.6) ** 2 + (1 / 26**0.5 - 0.8) ** 2) / 2  # by hand
    np.testing.assert_allclose(variant(attention_transfer)(student, teacher), [wanted], rtol=1e-6)


def test_scales_signs_and_channel_orders_do_not_count():
    changed = -7.0 * MAPS[..., ::-1]
    np.testing.assert_allclose(
        attention_transfer(changed, OTHERS), attention_transfer(MAPS, OTHERS), rtol=1e-5
    )
    np.testing.assert_allclose(attention_transfer(changed, MAPS), jnp.zeros(4), atol=1e-12)


def test_equal_maps_cost_nothing():
    np.testing.assert_array_equal(attention_transfer(MAPS, MAPS), jnp.zeros(4))


def test_nothing_flows_into_the_teacher():
    slopes = jax.jit(jax.grad(lambda s, t: attention_transfer(s, t).sum(), (0, 1)))(MAPS, OTHERS)
    assert slopes[0].any() and not slopes[1].any()


def test_maps_of_zeros_have_finite_gradients():
    zeros = jnp.zeros_like(MAPS)
    assert not jax.grad(lambda s: attention_transfer(s, OTHERS).sum())(zeros).any()
    assert jnp.isfinite(jax.grad(lambda s: attention_transfer(s, zeros).sum())(MAPS)).all()


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="same positions"):
        attention_transfer(MAPS, OTHERS[:, :1])
