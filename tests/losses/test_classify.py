"""cross_entropy: values, gradient, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.losses import cross_entropy

LOGITS = jnp.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])

with_gradient = jax.jit(jax.value_and_grad(lambda z, y: cross_entropy(z, y).sum()))


def test_values(variant):
    loss = variant(cross_entropy)(LOGITS, jnp.array([0, 2]))
    np.testing.assert_allclose(loss, [2.407606, np.log(3)], rtol=1e-6)  # by hand.


def test_gradient_is_probability_less_one_hot():
    _, grad = with_gradient(LOGITS, jnp.array([0, 2]))
    expected = [[0.090031 - 1, 0.244728, 0.665241], [1 / 3, 1 / 3, 1 / 3 - 1]]  # by hand.
    np.testing.assert_allclose(grad, expected, atol=1e-6)


def test_huge_logits_stay_finite():
    loss, grad = with_gradient(jnp.array([1e30, -1e30]), jnp.array(1))
    np.testing.assert_allclose(loss, 2e30, rtol=1e-6)
    np.testing.assert_array_equal(grad, [1.0, -1.0])


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_out_of_range_is_nan_and_not_some_class(label):
    loss = jax.jit(cross_entropy)(LOGITS, jnp.array([label, 0]))
    np.testing.assert_array_equal(np.isnan(loss), [True, False])


def test_small_label_types_do_not_wrap():
    logits = 9.0 * np.eye(300, dtype=np.float32)[256:257]
    loss = jax.jit(cross_entropy)(logits, np.array([0], np.uint8))
    assert loss[0] > 9.0  # class 256 is not class 0.


@pytest.mark.parametrize(
    ("logits", "labels", "text"),
    [
        (jnp.zeros((2, 3)), jnp.zeros(3, int), "labels"),
        (jnp.zeros((2, 3)), jnp.zeros((2, 3), int), "labels"),
        (jnp.zeros((2, 3), int), jnp.zeros(2, int), "logits"),
        (jnp.zeros((2, 3)), jnp.zeros(2), "labels"),
    ],
)
def test_what_does_not_fit_is_refused(logits, labels, text):
    with pytest.raises(ValueError, match=text):
        cross_entropy(logits, labels)
