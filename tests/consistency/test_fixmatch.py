"""FixMatch: golden values, where the gradient goes, and the shapes it takes."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import fixmatch

WEAK = jnp.array([[4.0, 0.0, 0.0], [1.0, 0.0, 0.0]])  # 0.965 and 0.576 sure.
STRONG = jnp.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])


def test_only_the_confident_example_counts(variant):
    loss, mask = variant(fixmatch)(STRONG, WEAK)
    np.testing.assert_array_equal(mask, [True, False])
    np.testing.assert_allclose(loss, [2.407606, 0.0], rtol=1e-6)  # by hand.


def test_the_threshold_is_reached_at_equality():
    _, mask = jax.jit(partial(fixmatch, threshold=0.5))(jnp.zeros((1, 2)), jnp.zeros((1, 2)))
    np.testing.assert_array_equal(mask, [True])


def test_no_gradient_reaches_the_weak_view():
    grads = jax.jit(jax.grad(lambda s, w: fixmatch(s, w)[0].sum(), (0, 1)))(STRONG, WEAK)
    np.testing.assert_array_equal(np.abs(grads[0]).sum(1) > 0, [True, False])
    np.testing.assert_array_equal(grads[1], jnp.zeros_like(WEAK))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 5, 5, 3)], ids=str)
def test_any_leading_shape(shape):
    logits = jax.ShapeDtypeStruct(shape, jnp.float32)
    loss, mask = jax.eval_shape(fixmatch, logits, logits)
    chex.assert_shape([loss, mask], shape[:-1])


def test_huge_logits_are_no_trouble():
    loss, mask = jax.jit(fixmatch)(jnp.array([[0.0, 1e30]]), jnp.array([[1e30, 0.0]]))
    np.testing.assert_array_equal(mask, [True])
    np.testing.assert_allclose(loss, [1e30], rtol=1e-6)


@pytest.mark.parametrize("strong", [jnp.zeros((2, 4)), jnp.zeros((2, 3), int)])
def test_what_does_not_fit_is_refused(strong):
    with pytest.raises(AssertionError):
        fixmatch(strong, WEAK)
