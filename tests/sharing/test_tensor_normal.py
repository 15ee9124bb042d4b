"""tensor_normal: against Kronecker products, its held covariances, and its bounds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.sharing import tensor_normal

KERNEL = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


@functools.partial(jax.jit, static_argnums=(1, 2))
def each(kernel, ridge=0.01, num_iterations=1):
    return jax.value_and_grad(tensor_normal)(kernel, ridge, num_iterations)


def fitted(kernel, ridge, num_iterations):
    """Covariances of tasks, inputs and outputs, by whole Kronecker products in float64."""
    covariances = [np.eye(size) for size in kernel.shape]
    for _ in range(num_iterations):
        for axis in (1, 2, 0):
            first, second = (covariances[n] for n in range(3) if n != axis)
            rows = np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1).astype(np.float64)
            raw = rows @ np.linalg.inv(np.kron(first, second)) @ rows.T / rows.shape[1]
            covariances[axis] = raw + ridge * np.trace(raw) / len(raw) * np.eye(len(raw))
    return covariances


@pytest.mark.parametrize("num_iterations", [1, 3])
@pytest.mark.parametrize("ridge", [0.01, 0.5])
def test_value_and_gradient(ridge, num_iterations):
    value, grad = each(KERNEL, ridge, num_iterations)
    vector = KERNEL.ravel().astype(np.float64)
    pushed = np.linalg.solve(
        functools.reduce(np.kron, fitted(KERNEL, ridge, num_iterations)), vector
    )
    np.testing.assert_allclose(value, vector @ pushed, rtol=1e-4)
    np.testing.assert_allclose(np.ravel(grad), 2 * pushed, atol=1e-3)


def test_the_gradient_is_that_of_the_profile_likelihood():
    def likelihood(kernel):
        covariances = fitted(kernel, 1e-6, 400)
        return sum(27 / 3 * np.linalg.slogdet(s)[1] for s in covariances)

    kernel, way = np.random.default_rng(1).normal(size=(2, 3, 3, 3))
    slope = (likelihood(kernel + 1e-4 * way) - likelihood(kernel - 1e-4 * way)) / 2e-4
    with jax.enable_x64(True):
        grad = each(kernel, 1e-6, 400)[1]
    np.testing.assert_allclose(np.vdot(grad, way), slope, rtol=1e-3)


def test_a_convolution_is_flattened_to_inputs_and_outputs():
    kernel = np.random.default_rng(2).normal(size=(2, 2, 1, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(each(kernel)[0], each(kernel.reshape(2, 6, 4))[0], rtol=1e-5)


def test_it_falls_from_unrelated_to_equal_tasks():
    """From d to d / K, but for the ridge: 24 numbers, 2 tasks."""
    apart = np.zeros((2, 3, 4), np.float32)
    apart[0, :, :2], apart[1, :, 2:] = KERNEL[0, :, :2], KERNEL[0, :, 2:]
    close = np.stack([KERNEL[0], KERNEL[0] + 0.1 * KERNEL[1]])
    equal = np.stack([KERNEL[0]] * 2)
    values = [each(kernel)[0] for kernel in (apart, close, equal)]
    assert 24 > values[0] > values[1] > values[2] > 11.9


def test_zero_has_no_gradient():
    value, grad = each(jnp.zeros((2, 3, 4)))
    assert value == 0.0
    np.testing.assert_array_equal(grad, np.zeros((2, 3, 4)))
