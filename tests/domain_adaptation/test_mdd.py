"""Margin disparity: value by hand, who is trained, and what the offset does to a sure adversary."""

from functools import partial
from math import log

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.domain_adaptation import margin_disparity
from tests.domain_adaptation.sights import FEATURES, SHARP, heads_of, loss_of, slopes

CLASSIFIER = jnp.array([[2.0, 0.0]])  # class 0
ADVERSARY = jnp.array([[log(3.0), 0.0]])  # 3/4 and 1/4


@pytest.mark.slow
def test_value(variant):
    f = variant(partial(margin_disparity, margin=2.0, offset=0.0))
    loss = f(CLASSIFIER, CLASSIFIER, ADVERSARY, ADVERSARY)
    np.testing.assert_allclose(loss, log(0.25) + 2 * log(0.75), rtol=1e-6)  # by hand
    loss = f(CLASSIFIER, -CLASSIFIER, ADVERSARY, ADVERSARY)
    np.testing.assert_allclose(loss, log(0.75) + 2 * log(0.75), rtol=1e-6)  # by hand


def test_only_the_adversary_is_trained_and_goes_apart_on_the_target():
    grads = jax.jit(jax.grad(margin_disparity, (0, 1, 2, 3)))(
        CLASSIFIER, CLASSIFIER, ADVERSARY, ADVERSARY
    )
    np.testing.assert_array_equal(np.array(grads[:2]), np.zeros((2, 1, 2)))
    np.testing.assert_allclose(grads[2], [[1.0, -1.0]], rtol=1e-5)  # by hand: 4 (1 - 3/4)
    np.testing.assert_allclose(grads[3], [[-0.75, 0.75]], rtol=1e-4)  # by hand, offset aside


@pytest.mark.parametrize(
    ("offset", "value", "slope"), [(1e-6, log(1e-6), 0.0), (0.0, -200.0, -1.0)], ids=str
)
def test_a_sure_adversary(offset, value, slope):
    sure = jnp.array([[200.0, 0.0]])
    f = jax.jit(jax.value_and_grad(partial(margin_disparity, offset=offset), 3))
    loss, grad = f(CLASSIFIER, CLASSIFIER, sure, sure)
    np.testing.assert_allclose(loss, value, rtol=1e-5)
    np.testing.assert_allclose(grad, [[slope, -slope]], atol=1e-6)


def test_at_most_zero():
    apart = jnp.array([[-100.0, 0.0]])
    f = jax.jit(margin_disparity)
    np.testing.assert_allclose(f(CLASSIFIER, CLASSIFIER, -apart, apart), 0.0)


def test_order_does_not_matter():
    source, target, ours, theirs = jax.random.normal(jax.random.key(0), (4, 6, 3))
    f = jax.jit(margin_disparity)
    value = f(source, target, ours, theirs)
    np.testing.assert_allclose(f(source[::-1], target, ours[::-1], theirs), value, rtol=1e-5)


@pytest.mark.parametrize("wrong", [jnp.zeros((1, 1)), jnp.zeros((1, 3)), jnp.zeros(2)])
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(ValueError, match="margin_disparity needs"):
        margin_disparity(wrong, CLASSIFIER, ADVERSARY, ADVERSARY)
    with pytest.raises(ValueError, match="margin_disparity needs"):
        margin_disparity(CLASSIFIER, wrong[..., :1], ADVERSARY, wrong[..., :1])


@pytest.mark.slow
def test_mdd_is_the_negative_disparity_with_a_reversed_trunk():
    method = domain_adaptation.MDD(warm_up=SHARP, coefficient=0.3)
    heads = heads_of(method)

    def found(pair):
        features, heads = pair
        own = [FEATURES[v] @ heads_of(method)[""] for v in ("labelled", "weak")]
        other = [features[v] @ heads["adversary"] for v in ("labelled", "weak")]
        return -domain_adaptation.margin_disparity(*own, *other)

    np.testing.assert_allclose(
        loss_of(method, FEATURES, heads), found((FEATURES, heads)), rtol=1e-5
    )
    want, got = jax.grad(found)((FEATURES, heads)), slopes(method)
    np.testing.assert_allclose(got[1]["adversary"], want[1]["adversary"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got[0]["weak"], -0.3 * want[0]["weak"], rtol=1e-4, atol=1e-6)
