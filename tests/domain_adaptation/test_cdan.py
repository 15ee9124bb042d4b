"""Conditional alignment: maps, weights and loss by hand, and where no gradient goes."""

from math import log, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.domain_adaptation import (
    conditional_adversarial,
    conditional_map,
    domain_adversarial,
    entropy_weights,
    random_conditional_map,
    random_matrices,
)
from tests.domain_adaptation.sights import FEATURES as SEEN
from tests.domain_adaptation.sights import heads_of, loss_of

FEATURES = jnp.array([[1.0, 2.0]])
LOGITS = jnp.array([[log(3.0), 0.0]])  # probabilities 3/4 and 1/4
MATRICES = jnp.array([[1.0, 0.0], [1.0, 2.0]]), jnp.array([[4.0, 0.0], [0.0, 4.0]])


def test_map(variant):
    mapped = variant(conditional_map)(FEATURES, LOGITS)
    np.testing.assert_allclose(mapped, [[0.75, 1.5, 0.25, 0.5]], rtol=1e-6)  # by hand


def test_random_map(variant):
    mapped = variant(random_conditional_map)(FEATURES, LOGITS, MATRICES)
    np.testing.assert_allclose(mapped, [[9 / sqrt(2), 4 / sqrt(2)]], rtol=1e-6)  # by hand


def test_random_maps_keep_inner_products():
    matrices = random_matrices(jax.random.key(0), 2, 2, width=8192)
    features = jnp.array([[1.0, 2.0], [3.0, -0.5]])
    logits = jnp.array([[1.0, 0.0], [0.0, 0.5]])
    full = jax.jit(conditional_map)(features, logits)
    few = jax.jit(random_conditional_map)(features, logits, matrices)
    np.testing.assert_allclose(few @ few.T, full @ full.T, atol=0.6)
    assert (full @ full.T).max() > 4.0


def test_no_gradient_into_logits_and_matrices():
    def total(features, logits, matrices):
        few = random_conditional_map(features, logits, matrices)
        return conditional_map(features, logits).sum() + few.sum()

    features, logits, matrices = jax.jit(jax.grad(total, (0, 1, 2)))(FEATURES, LOGITS, MATRICES)
    assert (features != 0).all()
    assert all((leaf == 0).all() for leaf in jax.tree.leaves((logits, matrices)))


@pytest.mark.parametrize("shape", [(), (4,), (2, 5)], ids=str)
def test_any_leading_shape(shape):
    features, logits = (jax.ShapeDtypeStruct((*shape, n), jnp.float32) for n in (3, 2))
    matrices = jnp.zeros((3, 7)), jnp.zeros((2, 7))
    assert jax.eval_shape(conditional_map, features, logits).shape == (*shape, 6)
    few = jax.eval_shape(random_conditional_map, features, logits, matrices)
    assert few.shape == (*shape, 7)


def test_weights(variant):
    # entropies log 2 and 0: 1.5 and 2 before their mean is made 1, by hand
    weights = variant(entropy_weights)(jnp.array([[0.0, 0.0], [200.0, 0.0]]))
    np.testing.assert_allclose(weights, [6 / 7, 8 / 7], rtol=1e-6)


def test_weights_of_impossible_classes_and_of_one_example():
    weights = jax.jit(entropy_weights)(jnp.array([[0.0, -jnp.inf], [0.0, 0.0]]))
    np.testing.assert_allclose(weights, [8 / 7, 6 / 7], rtol=1e-6)
    np.testing.assert_allclose(entropy_weights(LOGITS), [1.0])


def test_weights_have_no_gradient():
    grad = jax.jit(jax.grad(lambda z: (entropy_weights(z) * jnp.arange(2.0)).sum()))
    np.testing.assert_array_equal(grad(jnp.array([[1.0, 0.0], [3.0, 0.0]])), np.zeros((2, 2)))


def test_weighted_loss(variant):
    source, target = jnp.array([0.0, log(3.0)]), jnp.array([0.0])
    f = variant(conditional_adversarial)
    plain = domain_adversarial(source, target)
    np.testing.assert_allclose(f(source, target, jnp.ones(2), jnp.ones(1)), plain, rtol=1e-6)
    loss = f(source, target, jnp.array([1.5, 0.5]), jnp.array([1.0]))
    by_hand = (0.75 * log(2) + 0.25 * log(4 / 3) + log(2)) / 2
    np.testing.assert_allclose(loss, by_hand, rtol=1e-6)


def test_loss_trains_no_weights():
    ones = jnp.ones(2)
    grads = jax.jit(jax.grad(conditional_adversarial, (0, 1, 2, 3)))(ones, ones, ones, ones)
    np.testing.assert_array_equal(np.array(grads) != 0, [[True] * 2] * 2 + [[False] * 2] * 2)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"conditional_map needs features .*\(3, 2\)"):
        conditional_map(jnp.zeros((3, 2)), LOGITS)
    with pytest.raises(ValueError, match=r"random_conditional_map needs matrices .*\(3, 2\)"):
        random_conditional_map(FEATURES, LOGITS, (jnp.zeros((3, 2)), MATRICES[1]))
    with pytest.raises(ValueError, match=r"entropy_weights needs logits \[N, C\]"):
        entropy_weights(LOGITS[0])
    with pytest.raises(ValueError, match="conditional_adversarial needs two arrays of one shape"):
        conditional_adversarial(jnp.ones(2), jnp.ones(2), jnp.ones(3), jnp.ones(2))


def test_certain_examples_count_more_in_cdan_e():
    heads = heads_of(domain_adaptation.CDAN())
    plain = loss_of(domain_adaptation.CDAN(), SEEN, heads)
    weighted = loss_of(domain_adaptation.CDAN(entropy=True), SEEN, heads)
    assert abs(plain - weighted) > 1e-4
    even = {**SEEN, "labelled": 0 * SEEN["labelled"], "weak": 0 * SEEN["weak"]}
    np.testing.assert_allclose(
        loss_of(domain_adaptation.CDAN(entropy=True), even, heads), np.log(2.0), rtol=1e-6
    )


def test_the_random_map_is_the_same_at_every_call():
    method = domain_adaptation.CDAN(randomized_dim=16)
    heads = heads_of(method)
    assert heads["domain"].shape == (16, 1)
    assert loss_of(method, SEEN, heads) == loss_of(method, SEEN, heads)
