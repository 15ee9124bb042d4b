"""Correlation alignment: values by hand, and what each form is blind to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.domain_adaptation import coral, coral_with_means
from tests.domain_adaptation.clouds import clouds, descended, gap
from tests.domain_adaptation.sights import FEATURES, heads_of, loss_of

SOURCE = jnp.array([[1.0, 0.0], [-1.0, 0.0]])  # covariance diag(2, 0)
TARGET = jnp.array([[3.0, 1.0], [3.0, 3.0]])  # mean (3, 2), covariance diag(0, 2)
FORMS = pytest.mark.parametrize("form", [coral, coral_with_means])


def test_values(variant):
    np.testing.assert_allclose(variant(coral)(SOURCE, TARGET), 8 / 16, rtol=1e-6)  # by hand
    loss = variant(coral_with_means)(SOURCE, TARGET)
    np.testing.assert_allclose(loss, 13 / 2 + 8 / 4, rtol=1e-6)  # by hand


@FORMS
def test_equal_symmetric_and_of_no_order(form):
    source, target = clouds(stretch=2.0)
    f = jax.jit(form)
    np.testing.assert_allclose(f(source, source), 0.0, atol=1e-12)
    np.testing.assert_allclose(f(target, source), f(source, target), rtol=1e-5)
    np.testing.assert_allclose(f(source[::-1], target), f(source, target), rtol=1e-5)


def test_the_form_without_means_is_blind_to_a_shift():
    source, _ = clouds()
    np.testing.assert_allclose(jax.jit(coral)(source, source + 5.0), 0.0, atol=1e-6)
    np.testing.assert_allclose(jax.jit(coral_with_means)(source, source + 5.0), 25.0, rtol=1e-4)


def test_descent_brings_clouds_together():
    source, target = clouds(shift=3.0, stretch=2.0)
    ours, theirs = descended(coral_with_means, source, target, rate=1.0)
    assert gap(ours, theirs) < 0.1 * gap(source, target)
    assert abs(theirs.std() - ours.std()) < 0.5 * abs(target.std() - source.std())


@FORMS
def test_equal_points_have_finite_gradients(form):
    points = jnp.ones((4, 3))
    grads = jax.jit(jax.grad(form, (0, 1)))(points, points)
    np.testing.assert_array_equal(grads, np.zeros((2, 4, 3)))


@FORMS
@pytest.mark.parametrize("shape", [(1, 2), (3,), (2, 3)], ids=str)
def test_what_does_not_fit_is_refused(form, shape):
    with pytest.raises(ValueError, match=rf"{form.__name__} needs .*\({shape[0]},"):
        form(jnp.zeros(shape), TARGET)


def test_the_method_is_its_function():
    method = domain_adaptation.CORAL(variant="means")
    found = loss_of(method, FEATURES, heads_of(method))
    wanted = coral_with_means(FEATURES["labelled"], FEATURES["weak"])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
