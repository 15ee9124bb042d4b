"""Classifier discrepancy: values by hand, symmetry, direction, and the balance of classes."""

from math import log

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.core.validation import BadInput
from mtl_jax.domain_adaptation import class_balance, classifier_discrepancy
from tests.domain_adaptation.sights import FEATURES, SHARP, B, heads_of, seen

FIRST = jnp.array([[log(3.0), 0.0], [1.0, 1.0]])  # probabilities 3/4 and 1/4, then 1/2
SECOND = jnp.zeros((2, 2))


def test_discrepancy(variant):
    loss = variant(classifier_discrepancy)(FIRST, SECOND)
    np.testing.assert_allclose(loss, [0.25, 0.0], atol=1e-7)  # by hand
    np.testing.assert_allclose(variant(classifier_discrepancy)(SECOND, FIRST), loss, atol=1e-7)


def test_descent_brings_classifiers_together_and_equal_ones_rest():
    total = jax.jit(jax.value_and_grad(lambda a, b: classifier_discrepancy(a, b).sum(), (0, 1)))
    loss, grads = total(FIRST, SECOND)
    closer, _ = total(FIRST - grads[0], SECOND - grads[1])
    assert closer < loss
    np.testing.assert_array_equal(total(SECOND, SECOND)[1], np.zeros((2, 2, 2)))


def test_balance(variant):
    one = -(log(0.75) + log(0.25)) / 2  # by hand
    np.testing.assert_allclose(variant(class_balance)(FIRST[:1]), one, rtol=1e-6)
    mirrored = jnp.concatenate([FIRST[:1], FIRST[:1, ::-1]])
    np.testing.assert_allclose(variant(class_balance)(mirrored), log(2.0), rtol=1e-6)


def test_balance_without_any_share_is_finite():
    lost = jnp.array([[0.0, -300.0], [0.0, -400.0]])
    loss, grad = jax.jit(jax.value_and_grad(class_balance))(lost)
    np.testing.assert_allclose(loss, (300.0 + log(2.0)) / 2, rtol=1e-6)  # by hand
    np.testing.assert_allclose(grad, [[0.5, -0.5], [0.0, 0.0]], atol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="classifier_discrepancy needs two arrays of one shape"):
        classifier_discrepancy(FIRST, FIRST[0])
    with pytest.raises(ValueError, match=r"class_balance needs logits \[N, C\]"):
        class_balance(FIRST[0])


def test_mcd_heads_disagree_and_the_trunk_makes_peace():
    method = domain_adaptation.MCD(warm_up=SHARP, balance=0.0)
    heads = heads_of(method)

    def apart(pair):
        features, heads = pair
        said = [features["weak"] @ heads[name] for name in ("", "second")]
        return domain_adaptation.classifier_discrepancy(*said).mean()

    views = seen(FEATURES, heads)
    assert views.labels.shape == (B,)
    got = jax.grad(lambda pair: method.update(seen(*pair), ())[0])((FEATURES, heads))
    want = jax.grad(apart)((FEATURES, heads))
    np.testing.assert_allclose(got[0]["weak"], want[0]["weak"], rtol=1e-4, atol=1e-6)
    for name in ("", "second"):
        np.testing.assert_allclose(got[1][name], -want[1][name], rtol=1e-4, atol=1e-6)


def test_bad_settings_are_refused():
    with pytest.raises(BadInput, match="widths"):
        domain_adaptation.MCD(widths=())
