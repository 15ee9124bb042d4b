"""mean_l2: values by hand, exact zeros, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.sharing import mean_l2

each = jax.jit(jax.value_and_grad(mean_l2))


def test_values_and_gradient():
    stacked = {"kernel": jnp.array([[[1.0, 0.0]], [[3.0, 4.0]]]), "bias": jnp.array([[1.0], [2.0]])}
    value, grad = each(stacked)
    np.testing.assert_allclose(value, 2 * (1 + 4) + 2 * 0.25)  # by hand.
    np.testing.assert_allclose(grad["kernel"], [[[-2.0, -4.0]], [[2.0, 4.0]]])  # 2 (w_t - mean).
    np.testing.assert_allclose(grad["bias"], [[-1.0], [1.0]])


def test_equal_tasks_are_exactly_zero():
    row = np.random.default_rng(0).normal(size=(1, 50)).astype(np.float32)
    value, grad = each({"kernel": np.repeat(row, 7, 0)})  # the mean of 7 equal floats is rounded.
    assert value == 0.0
    np.testing.assert_array_equal(grad["kernel"], np.zeros((7, 50)))


@pytest.mark.parametrize(
    "stacked", [{}, {"a": jnp.zeros((2, 3)), "b": jnp.zeros((3, 3))}, jnp.zeros(())]
)
def test_what_has_no_task_axis_is_refused(stacked):
    with pytest.raises(ValueError, match="stacked needs leaves"):
        mean_l2(stacked)
