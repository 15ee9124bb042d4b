"""FitNet: a value by hand, equal maps, where gradients stop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.transfer import fitnet

MAPS, OTHERS = jax.random.normal(jax.random.key(0), (2, 4, 3, 2, 5))


def test_value(variant):
    found = variant(fitnet)(
        jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[0.0, 0.0], [0.0, 3.0]])
    )
    np.testing.assert_allclose(found, [2.5, 4.5])  # by hand


def test_equal_maps_cost_nothing():
    np.testing.assert_array_equal(fitnet(MAPS, MAPS), jnp.zeros(4))


def test_nothing_flows_into_the_teacher():
    slopes = jax.jit(jax.grad(lambda s, t: fitnet(s, t).sum(), (0, 1)))(MAPS, OTHERS)
    assert slopes[0].any() and not slopes[1].any()


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="put a layer"):
        fitnet(MAPS, OTHERS[..., :2])
