"""trace_norm: against the singular values, with its subgradient where ranks are low."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.sharing import trace_norm

RANDOM = np.random.default_rng(0)
each = jax.jit(jax.value_and_grad(trace_norm))


def by_svd(matrix):
    """Nuclear norm and `U V^T` over the nonzero singular values, in float64."""
    u, s, v = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    kept = s > 1e-6 * max(s.max(), 1e-300)
    return s.sum(), u[:, kept] @ v[kept]


def check(matrix, atol=2e-4):
    value, grad = each(matrix.astype(np.float32).reshape(len(matrix), -1, 2))
    wanted, subgradient = by_svd(matrix)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    np.testing.assert_allclose(np.reshape(grad, matrix.shape), subgradient, atol=atol)


@pytest.mark.parametrize("shape", [(1, 6), (3, 40), (5, 4)], ids=str)
def test_full_rank_and_more_tasks_than_numbers(shape):
    check(RANDOM.normal(size=shape))


@pytest.mark.parametrize("weights", [(1, 1, 1), (0, 2, 0), (1, -3, 0.5)], ids=str)
@pytest.mark.parametrize("size", [10, 20_000])
def test_rank_one(weights, size):
    check(np.outer(weights, RANDOM.normal(size=size)).astype(np.float32))


def test_rank_two_of_four():
    check(RANDOM.normal(size=(4, 2)).astype(np.float32) @ RANDOM.integers(-8, 9, (2, 40)))


@pytest.mark.parametrize("gap", [1e-2, 1e-3])
def test_tasks_that_nearly_agree_are_told_apart(gap):
    """The roots of the Gram's eigenvalues alone would lose the second singular value."""
    row = RANDOM.normal(size=(1, 40))
    matrix = (np.repeat(row, 2, 0) + gap * RANDOM.normal(size=(2, 40))).astype(np.float32)
    check(matrix, atol=1e-6 / gap + 2e-4)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_goes_through(scale):
    matrix = RANDOM.normal(size=(3, 8)).astype(np.float32)
    check(matrix * np.float32(scale))


def test_zero_has_no_gradient():
    value, grad = each(np.zeros((3, 4, 2), np.float32))
    assert value == 0.0
    np.testing.assert_array_equal(grad, np.zeros((3, 4, 2)))


def test_layers_add_up_and_biases_do_not_count():
    a, b = RANDOM.normal(size=(2, 3, 4)), RANDOM.normal(size=(2, 3, 3, 1, 2))
    tree = {
        "a": a.astype(np.float32),
        "b": b.astype(np.float32),
        "bias": np.ones((2, 4), np.float32),
    }
    value, grad = each(tree)
    wanted = by_svd(a.reshape(2, -1))[0] + by_svd(b.reshape(2, -1))[0]
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    np.testing.assert_array_equal(grad["bias"], np.zeros((2, 4)))


@pytest.mark.parametrize("stacked", [{}, {"bias": jnp.zeros((2, 3))}], ids=str)
def test_what_has_no_kernel_is_refused(stacked):
    with pytest.raises(ValueError, match="needs"):
        trace_norm(stacked)
