"""tucker_norm: against the singular values of every unfolding."""

import jax
import numpy as np
import pytest

from mtl_jax.sharing import trace_norm, tucker_norm

RANDOM = np.random.default_rng(0)
each = jax.jit(jax.value_and_grad(tucker_norm))


def by_svd(kernel):
    """The norm and its subgradient, in float64."""
    value, grad = 0.0, np.zeros(kernel.shape)
    for axis, size in enumerate(kernel.shape):
        moved = np.moveaxis(kernel.astype(np.float64), axis, 0)
        u, s, v = np.linalg.svd(moved.reshape(size, -1), full_matrices=False)
        value, kept = value + s.sum(), s > 1e-6 * s.max()
        grad += np.moveaxis((u[:, kept] @ v[kept]).reshape(moved.shape), 0, axis)
    return value, grad


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 40, 30), (2, 30, 3), (3, 3, 2, 4, 5)], ids=str)
def test_every_unfolding_counts(shape):
    kernel = RANDOM.normal(size=shape).astype(np.float32)
    value, grad = each(kernel)
    wanted, subgradient = by_svd(kernel)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    np.testing.assert_allclose(grad, subgradient, atol=1e-3)


def test_an_outer_product_has_rank_one_everywhere():
    kernel = np.einsum("k,i,j->kij", *(RANDOM.normal(size=n) for n in (3, 4, 5)))
    value, grad = each(kernel.astype(np.float32))
    np.testing.assert_allclose(value, 3 * np.linalg.norm(kernel), rtol=1e-5)
    np.testing.assert_allclose(grad, 3 * kernel / np.linalg.norm(kernel), atol=1e-4)


def test_it_is_no_less_than_the_term_of_the_tasks():
    kernel = RANDOM.normal(size=(3, 4, 5)).astype(np.float32)
    assert each(kernel)[0] > 2 * trace_norm(kernel)


def test_what_has_no_kernel_is_refused():
    with pytest.raises(ValueError, match="needs a kernel"):
        tucker_norm({"bias": np.zeros((2, 3), np.float32)})
