"""mtrl: its covariance is the best one, and alternating gives the same gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.sharing import mtrl, task_covariance

RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.normal(size=(3, 4, 5)).astype(np.float32)
each = jax.jit(jax.value_and_grad(mtrl))


def cost(rows, omega):
    """`tr(W^T Omega^-1 W)`."""
    return jnp.vdot(rows, jnp.linalg.solve(omega, rows), precision="highest")


@pytest.mark.slow
def test_the_gradient_is_that_of_a_held_covariance():
    def held(kernel):
        rows = kernel.reshape(3, -1)
        return cost(rows, jax.lax.stop_gradient(task_covariance(rows)))

    value, grad = each(KERNEL)
    wanted, alternating = jax.jit(jax.value_and_grad(held))(KERNEL)
    np.testing.assert_allclose(value, wanted, rtol=1e-4)
    np.testing.assert_allclose(grad, alternating, atol=1e-3)


def test_no_other_covariance_costs_less():
    best = cost(KERNEL.reshape(3, -1), task_covariance(KERNEL.reshape(3, -1)))
    for _ in range(20):
        root = RANDOM.normal(size=(3, 3)).astype(np.float32)
        omega = root @ root.T
        assert cost(KERNEL.reshape(3, -1), omega / np.trace(omega)) > best


def test_covariance_by_hand():
    """Lengths 3 and 1 at right angles; two equal tasks; none."""
    omega = jax.jit(task_covariance)
    np.testing.assert_allclose(omega(jnp.array([[3.0, 0.0], [0.0, 1.0]])), np.diag([0.75, 0.25]))
    np.testing.assert_allclose(omega(jnp.array([[1.0, 2.0]] * 2)), np.full((2, 2), 0.5), atol=1e-6)
    np.testing.assert_allclose(omega(jnp.array([[1.0], [-1.0]]))[0, 1], -0.5, atol=1e-6)
    np.testing.assert_allclose(omega(jnp.zeros((4, 3))), np.eye(4) / 4, atol=1e-6)
    np.testing.assert_allclose(omega(jnp.ones((1, 3))), [[1.0]], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_covariance_has_no_scale(scale):
    rows = KERNEL.reshape(3, -1)
    np.testing.assert_allclose(
        task_covariance(np.float32(scale) * rows), task_covariance(rows), atol=1e-5
    )


def test_layers_add_up():
    np.testing.assert_allclose(
        each({"a": KERNEL, "b": 2 * KERNEL})[0], 5 * each(KERNEL)[0], rtol=1e-5
    )
