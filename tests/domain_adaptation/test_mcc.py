"""Class confusion: by hand, against the matrix of the paper, its bounds and its degenerate ends."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.domain_adaptation import class_confusion, entropy_weights
from tests.domain_adaptation.sights import FEATURES, heads_of, loss_of

LOGITS = 3.0 * jax.random.normal(jax.random.key(0), (6, 4))


def by_matrix(logits, temperature):
    """The formula as it is written, in float64."""
    logits = np.asarray(logits, np.float64) / temperature
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    weights = np.asarray(entropy_weights(jnp.asarray(logits, jnp.float32)), np.float64)
    matrix = (weights[:, None] * p).T @ p
    shares = matrix / matrix.sum(0)
    return (shares.sum() - np.trace(shares)) / len(shares)


def test_value_by_hand(variant):
    # Both sure of classes of their own but for 1/4: shares (3/4 1/4 + 1/4 3/4) / 1 = 3/8.
    logits = jnp.log(jnp.array([[3.0, 1.0], [1.0, 3.0]]))
    loss = variant(partial(class_confusion, temperature=1.0))(logits)
    np.testing.assert_allclose(loss, 3 / 8, rtol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_value_by_the_matrix(temperature):
    loss = jax.jit(partial(class_confusion, temperature=temperature))(LOGITS)
    np.testing.assert_allclose(loss, by_matrix(LOGITS, temperature), rtol=1e-5)


def test_order_does_not_matter_and_descent_makes_sure():
    f = jax.jit(jax.value_and_grad(class_confusion))
    loss, grad = f(LOGITS)
    np.testing.assert_allclose(f(LOGITS[::-1])[0], loss, rtol=1e-5)
    np.testing.assert_allclose(f(LOGITS[:, ::-1])[0], loss, rtol=1e-5)
    assert f(LOGITS - 5.0 * grad)[0] < loss


def test_sure_of_every_class_costs_nothing_of_one_class_the_most():
    f = jax.jit(jax.value_and_grad(class_confusion))
    np.testing.assert_allclose(f(1000.0 * jnp.eye(4))[0], 0.0, atol=1e-6)
    for logits in (jnp.tile(1000.0 * jnp.eye(4)[:1], (4, 1)), jnp.zeros((4, 4))):
        loss, grad = f(logits)
        np.testing.assert_allclose(loss, 3 / 4, rtol=1e-6)  # by hand
        np.testing.assert_allclose(grad, np.zeros((4, 4)), atol=1e-6)


def test_one_example_teaches_nothing():
    loss, grad = jax.jit(jax.value_and_grad(class_confusion))(LOGITS[:1])
    np.testing.assert_allclose(loss, 3 / 4, rtol=1e-6)
    np.testing.assert_allclose(grad, np.zeros((1, 4)), atol=1e-6)


@pytest.mark.parametrize("shape", [(4,), (2, 1), (0, 3), (2, 2, 3)], ids=str)
def test_what_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match="class_confusion needs"):
        class_confusion(jnp.zeros(shape))


def test_the_method_is_its_function():
    heads = heads_of(domain_adaptation.MCC())
    found = loss_of(domain_adaptation.MCC(), FEATURES, heads)
    np.testing.assert_allclose(found, class_confusion(FEATURES["weak"] @ heads[""]), rtol=1e-6)
