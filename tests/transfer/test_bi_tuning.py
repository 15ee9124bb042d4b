"""Bi-Tuning: against a loop over examples, keys that are not there, where gradients go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import cce, ccl, empty_queues, enqueue, with_bias

RANDOM = np.random.default_rng(0)
LABELS = jnp.array([0, 2, 1, 2])
FEATURES, KEYS = jnp.float32(RANDOM.normal(size=(2, 4, 3)))
KERNEL, BIAS = jnp.float32(RANDOM.normal(size=(3, 3))), jnp.float32(RANDOM.normal(size=3))
PAST, PAST_LABELS = jnp.float32(RANDOM.normal(size=(5, 3))), jnp.array([0, 0, 2, 1, 0])


def normed(vectors):
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def queues_of(keys, length=4):
    """Queues in which five keys are, of classes 0, 0, 2, 1 and 0."""
    return enqueue(empty_queues(3, length, keys.shape[1]), keys, PAST_LABELS)


def loop(queries, own, past, temperature):
    """The losses, one example at a time, by lists of positives and negatives."""
    losses = []
    for query, key, label in zip(queries, own, np.asarray(LABELS), strict=True):
        scores = np.array([query @ key, *past @ query]) / temperature
        scores = scores - np.log(np.exp(scores).sum())
        losses.append(-scores[np.array([True, *(np.asarray(PAST_LABELS) == label)])].mean())
    return losses


def test_ccl(variant):
    queues = queues_of(jnp.float32(normed(PAST)))
    found = variant(ccl)(FEATURES, KEYS, LABELS, queues)
    wanted = loop(normed(FEATURES), normed(KEYS), normed(PAST), 0.07)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_cce(variant):
    queues = queues_of(with_bias(PAST))
    found = variant(cce)(FEATURES, LABELS, KERNEL, BIAS, queues)
    ones = np.ones((5, 1))
    weights = normed(np.concatenate([KERNEL, BIAS[None]]).T)[np.asarray(LABELS)]
    own, past = (normed(np.hstack([x, ones[: len(x)]])) for x in (FEATURES, PAST))
    np.testing.assert_allclose(found, loop(weights, own, past, 0.07), rtol=1e-4)


def test_empty_queues_leave_only_oneself():
    found = ccl(FEATURES, KEYS, LABELS, empty_queues(3, 4, 3))
    np.testing.assert_array_equal(found, jnp.zeros(4))


def test_how_long_an_unfilled_queue_is_does_not_count():
    short, long = (queues_of(jnp.float32(normed(PAST)), length) for length in (3, 9))
    np.testing.assert_allclose(
        ccl(FEATURES, KEYS, LABELS, short), ccl(FEATURES, KEYS, LABELS, long), rtol=1e-6
    )


def test_the_least_value_is_the_logarithm_of_the_positives():
    ends = jnp.eye(3)[jnp.array([0, 0, 2, 1, 0])]
    queues = queues_of(ends)
    found = ccl(jnp.eye(3), jnp.eye(3), jnp.arange(3), queues, temperature=0.01)
    np.testing.assert_allclose(found, np.log([4.0, 2.0, 2.0]), rtol=1e-6)  # by hand


def test_gradients_of_ccl_flow_into_embeddings_only():
    queues = queues_of(jnp.float32(normed(PAST)))

    def loss(embeddings, keys, past):
        return ccl(embeddings, keys, LABELS, queues._replace(keys=past)).sum()

    slopes = jax.jit(jax.grad(loss, (0, 1, 2)))(FEATURES, KEYS, queues.keys)
    assert slopes[0].any() and not slopes[1].any() and not slopes[2].any()


def test_gradients_of_cce_flow_into_features_and_head_only():
    queues = queues_of(with_bias(PAST))

    def loss(features, kernel, bias, past):
        return cce(features, LABELS, kernel, bias, queues._replace(keys=past)).sum()

    slopes = jax.jit(jax.grad(loss, (0, 1, 2, 3)))(FEATURES, KERNEL, BIAS, queues.keys)
    assert all(slope.any() for slope in slopes[:3]) and not slopes[3].any()


def test_zeros_have_finite_gradients():
    queues, zeros = empty_queues(3, 4, 3), jnp.zeros((4, 3))
    queues = enqueue(queues, zeros, LABELS)
    slope = jax.jit(jax.grad(lambda z, queues: ccl(z, KEYS, LABELS, queues).sum()))
    assert jnp.isfinite(slope(zeros, queues)).all()
    queues = enqueue(empty_queues(3, 4, 4), with_bias(zeros), LABELS)

    def loss(features, kernel):
        return cce(features, LABELS, kernel, jnp.zeros(3), queues).sum()

    slopes = jax.jit(jax.grad(loss, (0, 1)))(zeros, jnp.zeros((3, 3)))
    assert all(jnp.isfinite(slope).all() for slope in slopes)


def test_a_missing_label_gives_nan():
    queues = queues_of(jnp.float32(normed(PAST)))
    found = ccl(FEATURES, KEYS, jnp.array([0, -1, 3, 1]), queues)
    np.testing.assert_array_equal(jnp.isnan(found), [False, True, True, False])


def test_what_is_refused():
    queues = queues_of(jnp.float32(normed(PAST)))
    with pytest.raises(ValueError, match=r"queues \[3, M, 4\]"):
        cce(FEATURES, LABELS, KERNEL, BIAS, queues)
    with pytest.raises(ValueError, match="keys of the shape"):
        ccl(FEATURES, KEYS[:2], LABELS, queues)
    with pytest.raises(BadInput, match=r"ccl\.temperature must be above 0"):
        ccl(FEATURES, KEYS, LABELS, queues, temperature=0.0)
