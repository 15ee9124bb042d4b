"""squared_cosines: values by hand, over all leaves, at any scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.sharing import squared_cosines

each = jax.jit(jax.value_and_grad(squared_cosines))


def test_values_and_gradient():
    value, grad = each(jnp.array([[1.0, 0.0], [1.0, 1.0], [0.0, -3.0]]))
    np.testing.assert_allclose(value, 0.5 + 0.0 + 0.5, rtol=1e-6)  # by hand.
    # Turning the first task by a small angle a: cos^2(45 - a) + cos^2(90 - a), slope 1.
    np.testing.assert_allclose(grad[0], [0.0, 1.0], atol=1e-6)


def test_leaves_are_one_vector():
    stacked = {"a": jnp.array([[1.0], [0.0]]), "b": jnp.array([[[1.0]], [[2.0]]])}
    np.testing.assert_allclose(each(stacked)[0], 0.5, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_lengths_do_not_count(scale):
    rows = jnp.array([[1.0, 0.0], [scale, scale]])
    value, grad = each(rows)
    np.testing.assert_allclose(value, 0.5, rtol=1e-6)
    np.testing.assert_allclose(grad[1], np.array([0.5, -0.5]) / scale, rtol=1e-5)


def test_a_zero_task_counts_nothing():
    value, grad = each(jnp.array([[1.0, 2.0], [0.0, 0.0]]))
    assert value == 0.0
    np.testing.assert_array_equal(grad, np.zeros((2, 2)))


def test_one_task_has_no_pair():
    assert each(jnp.ones((1, 3)))[0] == 0.0
