"""tt_norm: against the singular values of every cut, with the task axis last."""

import jax
import numpy as np
import pytest

from mtl_jax.sharing import trace_norm, tt_norm

RANDOM = np.random.default_rng(0)
each = jax.jit(jax.value_and_grad(tt_norm))


def by_svd(kernel):
    """The norm, in float64."""
    last = np.moveaxis(kernel.astype(np.float64), 0, -1)
    cuts = (last.reshape(int(np.prod(last.shape[:n])), -1) for n in range(1, last.ndim))
    return sum(np.linalg.svd(cut, compute_uv=False).sum() for cut in cuts)


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 20, 30), (2, 30, 3), (3, 3, 2, 4, 5)], ids=str)
def test_every_cut_counts(shape):
    kernel = RANDOM.normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(each(kernel)[0], by_svd(kernel), rtol=1e-5)


def test_an_outer_product_has_rank_one_everywhere():
    kernel = np.einsum("k,i,j,l->kijl", *(RANDOM.normal(size=n) for n in (3, 4, 5, 2)))
    value, grad = each(kernel.astype(np.float32))
    np.testing.assert_allclose(value, 3 * np.linalg.norm(kernel), rtol=1e-5)
    np.testing.assert_allclose(grad, 3 * kernel / np.linalg.norm(kernel), atol=1e-4)


def test_with_one_input_the_only_cuts_are_the_outputs_and_the_tasks():
    """`[K, 1, C]`: the first cut is one row, the last is the term of the tasks."""
    kernel = RANDOM.normal(size=(3, 1, 5)).astype(np.float32)
    wanted = np.linalg.norm(kernel) + trace_norm(kernel)
    np.testing.assert_allclose(each(kernel)[0], wanted, rtol=1e-5)


def test_what_has_no_kernel_is_refused():
    with pytest.raises(ValueError, match="needs a kernel"):
        tt_norm({"bias": np.zeros((2, 3), np.float32)})
