"""group_l21, group_l1_inf and dirty: values by hand, and gradients where norms have kinks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from mtl_jax.sharing import dirty, group_l1_inf, group_l21

RANDOM = np.random.default_rng(0)
l21 = jax.jit(jax.value_and_grad(group_l21))
l1_inf = jax.jit(jax.value_and_grad(group_l1_inf))
split = jax.jit(jax.value_and_grad(dirty))


def kernel_of(columns):
    """A kernel `[K, 1, D]` of columns over the tasks."""
    return jnp.array(columns, jnp.float32).T[:, None]


def test_l21():
    value, grad = l21(kernel_of([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]]))
    np.testing.assert_allclose(value, 5 + 0 + 2)  # by hand.
    np.testing.assert_allclose(grad[:, 0], [[0.6, 0.0, 0.0], [0.8, 0.0, -1.0]], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_l21_neither_underflows_nor_overflows(scale):
    value, grad = l21(np.float32(scale) * kernel_of([[3.0, 4.0]]))
    np.testing.assert_allclose(value, 5 * scale, rtol=1e-6)
    np.testing.assert_allclose(grad[:, 0, 0], [0.6, 0.8], rtol=1e-6)


def test_l1_inf():
    value, grad = l1_inf(kernel_of([[3.0, -4.0], [0.0, 0.0], [2.0, -2.0]]))
    np.testing.assert_allclose(value, 4 + 0 + 2)  # by hand.
    np.testing.assert_allclose(grad[:, 0], [[0.0, 0.0, 0.5], [-1.0, 0.0, -0.5]])


def by_program(column, sparse):
    """The least cost of a split of one column, by a linear program."""
    # Variables: p, |q| and the peak of |p|; q = column - p.
    k = len(column)
    eye, zero, one = np.eye(k), np.zeros((k, k)), np.ones((k, 1))
    bounds = [[-eye, -eye, 0 * one], [eye, -eye, 0 * one], [eye, zero, -one], [-eye, zero, -one]]
    limits = np.concatenate([-column, column, np.zeros(2 * k)])
    costs = np.concatenate([np.zeros(k), np.full(k, sparse), [1.0]])
    free = [(None, None)] * k + [(0, None)] * (k + 1)
    return scipy.optimize.linprog(costs, np.block(bounds), limits, bounds=free).fun


@pytest.mark.parametrize("sparse", [0.0, 0.1, 0.3, 0.5, 0.7, 1.0, 2.0])
def test_dirty_is_the_least_cost_of_a_split(sparse):
    columns = np.concatenate([RANDOM.normal(size=(6, 4)), RANDOM.integers(-1, 2, (6, 4))])
    wanted = sum(by_program(column, sparse) for column in columns)
    value, grad = split(kernel_of(columns), sparse)
    np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-7)
    # Its subgradients are dual: as large as both prices allow, no more.
    assert np.abs(grad).max() <= sparse + 1e-6 and np.abs(grad).sum(0).max() <= 1 + 1e-6
    np.testing.assert_allclose(np.vdot(grad, kernel_of(columns)), wanted, rtol=1e-5, atol=1e-7)


def test_dirty_prices_by_hand():
    """Sizes 4, 2, 1 at 0.6 each until 1 is spent; a tie shares."""
    value, grad = split(kernel_of([[2.0, -4.0, 1.0], [1.0, 1.0, 1.0], [3.0, 3.0, 5.0]]), 0.6)
    np.testing.assert_allclose(value, (2.4 + 0.8) + 1.0 + (3.0 + 1.2), rtol=1e-6)
    wanted = np.array([[0.4, 1 / 3, 0.2], [-0.6, 1 / 3, 0.2], [0.0, 1 / 3, 0.6]])
    np.testing.assert_allclose(grad[:, 0], wanted, rtol=1e-5)


def test_dirty_has_no_gradient_at_zero():
    _, grad = split(kernel_of([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]), 0.6)
    np.testing.assert_allclose(grad[:, 0], [[0.0, 0.6], [0.0, 0.0], [0.0, 0.0]])


def test_dirty_ends():
    kernel = RANDOM.normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(split(kernel, 1.0)[0], l1_inf(kernel)[0], rtol=1e-5)
    np.testing.assert_allclose(split(kernel, 0.2)[0], 0.2 * np.abs(kernel).sum(), rtol=1e-5)


def test_dirty_keeps_what_is_no_number():
    assert np.isnan(split(kernel_of([[np.nan, 1.0]]), 0.6)[0])
