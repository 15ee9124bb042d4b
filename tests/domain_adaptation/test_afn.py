"""Feature norms: value and gradient by hand, zero vectors, and dropout that keeps the length."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.domain_adaptation import (
    hard_feature_norm,
    length_preserving_dropout,
    stepwise_feature_norm,
)
from tests.domain_adaptation.sights import FEATURES as SEEN
from tests.domain_adaptation.sights import heads_of, loss_of

FEATURES = jnp.array([[3.0, 4.0], [0.0, 0.0]])


def test_value_and_gradient():
    f = jax.jit(jax.value_and_grad(lambda f: stepwise_feature_norm(f, step=2.0).sum()))
    value, grad = f(FEATURES)
    np.testing.assert_allclose(value, 8.0)  # by hand: 2^2 each
    np.testing.assert_allclose(grad, [[-2.4, -3.2], [0.0, 0.0]], rtol=1e-6)  # by hand


def test_the_hard_form_pulls_the_mean_length():
    f = jax.jit(jax.value_and_grad(lambda f: hard_feature_norm(f, radius=3.0)))
    value, grad = f(FEATURES)
    np.testing.assert_allclose(value, 0.25)  # by hand: (5 / 2 - 3)^2
    np.testing.assert_allclose(grad, [[-0.3, -0.4], [0.0, 0.0]], rtol=1e-6)  # by hand


def test_descent_makes_longer(variant):
    grad = variant(jax.grad(lambda f: stepwise_feature_norm(f).sum()))(FEATURES)
    length = jnp.linalg.norm((FEATURES - 0.1 * grad)[0])
    np.testing.assert_allclose(length, 5.2, rtol=1e-6)  # by hand: 5 + 0.1 * 2


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 5, 3)], ids=str)
def test_any_leading_shape(shape):
    features = jax.ShapeDtypeStruct(shape, jnp.float32)
    assert jax.eval_shape(stepwise_feature_norm, features).shape == shape[:-1]


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_dropout_keeps_the_mean_square_length(rate):
    drop = partial(length_preserving_dropout, rate=rate)
    drawn = jax.jit(jax.vmap(drop, (0, None)))(
        jax.random.split(jax.random.key(0), 2000), FEATURES[0]
    )
    np.testing.assert_allclose(jnp.square(drawn).sum(1).mean(), 25.0, rtol=0.05)
    np.testing.assert_allclose((drawn == 0).mean(), rate, atol=0.03)
    kept = np.unique(np.asarray(drawn[:, 0]))
    np.testing.assert_allclose(kept, [0.0, 3.0 / (1 - rate) ** 0.5], rtol=1e-6)


def test_dropout_by_its_key():
    features = jnp.ones((4, 50))
    once, again, other = (
        length_preserving_dropout(jax.random.key(seed), features) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    none = length_preserving_dropout(jax.random.key(0), features, rate=0.0)
    np.testing.assert_array_equal(none, features)


def test_what_does_not_fit_is_refused():
    for rate in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=f"a rate from 0 to below 1, not {rate}"):
            length_preserving_dropout(jax.random.key(0), FEATURES, rate=rate)
    with pytest.raises(ValueError, match="stepwise_feature_norm needs floats, not int32"):
        stepwise_feature_norm(jnp.arange(3))


def test_the_method_is_its_function_on_both_domains():
    heads = heads_of(domain_adaptation.AFN())
    hard = loss_of(domain_adaptation.AFN(radius=2.0), SEEN, heads)
    lengths = [np.linalg.norm(SEEN[view], axis=1).mean() for view in ("labelled", "weak")]
    np.testing.assert_allclose(hard, sum((each - 2.0) ** 2 for each in lengths), rtol=1e-5)
    found = loss_of(domain_adaptation.AFN(step=0.5), SEEN, heads)
    np.testing.assert_allclose(found, 0.5, rtol=1e-6)  # step^2 of each domain, by hand
