"""Co-Tuning: the relationship by hand, the loss, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import class_relationship, co_tuning

PROBABILITIES = np.array([[0.8, 0.2, 0.0], [0.4, 0.2, 0.4], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
RELATION = jnp.array([[0.6, 0.2, 0.2], [0.0, 0.0, 1.0]])


def test_relationship():
    found = class_relationship(PROBABILITIES, np.array([0, 0, 1, -1]))
    np.testing.assert_allclose(found, RELATION, atol=1e-7)  # by hand: means of rows


def test_loss(variant):
    logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]))
    found = variant(co_tuning)(logits, jnp.array([0, 1]), RELATION)
    half = np.log(2.0)
    np.testing.assert_allclose(found, [0.6 * half + 0.8 * half, half], rtol=1e-6)  # by hand


def test_it_is_least_at_the_relationship():
    labels = jnp.array([0])
    slope = jax.grad(lambda z: co_tuning(z, labels, RELATION).sum())
    np.testing.assert_allclose(slope(jnp.log(RELATION[:1])), jnp.zeros((1, 3)), atol=1e-6)


def test_no_gradient_reaches_the_relationship():
    slope = jax.grad(lambda r: co_tuning(jnp.ones((1, 3)), jnp.array([1]), r).sum())(RELATION)
    np.testing.assert_array_equal(slope, jnp.zeros((2, 3)))


def test_numpy_float64_and_other_leading_shapes_are_taken():
    found = co_tuning(jnp.zeros((2, 5, 3)), jnp.zeros((2, 5), jnp.int32), np.array(RELATION, float))
    np.testing.assert_allclose(found, jnp.full((2, 5), np.log(3.0)), rtol=1e-6)


def test_a_missing_label_is_not_the_last_class():
    found = co_tuning(jnp.zeros((3, 3)), jnp.array([-1, 2, 1]), RELATION)
    np.testing.assert_array_equal(jnp.isnan(found), [True, True, False])


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"relationship \[C, Z\]"):
        co_tuning(jnp.zeros((2, 4)), jnp.zeros(2, jnp.int32), RELATION)


@pytest.mark.parametrize(
    ("values", "labels", "text"),
    [
        (PROBABILITIES, [0, 0, 2, 2], "example of every class, none of 1"),
        (2.0 * PROBABILITIES, [0, 0, 1, 1], "needs probabilities"),
        (PROBABILITIES, [-1] * 4, "there is none"),
        (PROBABILITIES, [0, 1], "one row a label"),
    ],
)
def test_bad_examples_are_refused(values, labels, text):
    with pytest.raises(BadInput, match=text):
        class_relationship(values, np.array(labels))
