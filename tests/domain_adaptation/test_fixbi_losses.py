"""FixBi: its four losses by hand, its threshold, and where gradients go."""

from functools import partial
from math import log, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.domain_adaptation import (
    bidirectional_matching,
    confidence_threshold,
    fixed_ratio_mixup_loss,
    self_penalty,
    space_consistency,
)

LOGITS = jnp.array([[log(3.0), 0.0], [0.0, 0.0]])  # 3/4 and 1/4, then 1/2
NINE = jnp.array([[log(9.0), 0.0], [log(99.0), 0.0]])  # 0.9 and 0.99 sure


def test_fixed_mix(variant):
    loss = variant(partial(fixed_ratio_mixup_loss, ratio=0.7))(
        LOGITS, jnp.array([0, 0]), jnp.array([1, 1])
    )
    np.testing.assert_allclose(loss, [-0.7 * log(0.75) - 0.3 * log(0.25), log(2)], rtol=1e-6)


def test_threshold(variant):
    # by hand: confidences 3/4 and 1/2, their deviation 1/4 / sqrt 2
    threshold = variant(confidence_threshold)(LOGITS)
    np.testing.assert_allclose(threshold, 0.625 - 2 * 0.25 / sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(variant(confidence_threshold)(LOGITS[:1]), 0.75, rtol=1e-6)


def test_threshold_has_no_gradient():
    for logits in (LOGITS, LOGITS[:1], jnp.zeros((3, 2))):
        grad = jax.jit(jax.grad(confidence_threshold))(logits)
        np.testing.assert_array_equal(grad, jnp.zeros_like(logits))


def test_matching(variant):
    loss, mask = variant(bidirectional_matching)(jnp.zeros((2, 2)), LOGITS, jnp.float32(0.6))
    np.testing.assert_array_equal(mask, [True, False])
    np.testing.assert_allclose(loss, [log(2), 0.0], rtol=1e-6)  # by hand


def test_matching_leaves_the_teacher_alone():
    def total(learner, teacher):
        return bidirectional_matching(learner, teacher, confidence_threshold(teacher))[0].sum()

    learner, teacher = jax.jit(jax.grad(total, (0, 1)))(jnp.zeros((2, 2)), LOGITS)
    np.testing.assert_allclose(learner, [[-0.5, 0.5], [-0.5, 0.5]])
    np.testing.assert_array_equal(teacher, np.zeros((2, 2)))


def test_penalty(variant):
    loss, mask = variant(self_penalty)(NINE, jnp.float32(2.0), jnp.float32(0.95))
    np.testing.assert_array_equal(mask, [True, False])
    np.testing.assert_allclose(loss, [log(4.0), 0.0], rtol=1e-6)  # by hand: 9 becomes 3 to 1


def total(logits, temperature, threshold=2.0):
    return self_penalty(logits, temperature, jnp.float32(threshold))[0].sum()


def test_penalty_unlearns_and_learns_its_temperature():
    logits, temperature = jax.jit(jax.grad(total, (0, 1)))(NINE, jnp.float32(5.0))
    assert (logits[:, 0] > 0).all()  # Descent makes the guess less sure.
    assert temperature < 0  # Hotter is less sure too.


def test_penalty_of_a_guess_beyond_rounding():
    sure = jnp.array([[500.0, 0.0]])
    logits, temperature = jax.jit(jax.grad(total, (0, 1)))(sure, jnp.float32(2.0))
    np.testing.assert_allclose(logits, [[0.5, -0.5]])  # by hand: 1/T
    np.testing.assert_allclose(temperature, -125.0)  # by hand: -500/T^2
    left = jax.jit(jax.grad(lambda *given: total(*given, threshold=0.9)))(sure, jnp.float32(2.0))
    np.testing.assert_array_equal(left, [[0.0, 0.0]])


def test_consistency(variant):
    loss = variant(space_consistency)(LOGITS, jnp.zeros((2, 2)))
    np.testing.assert_allclose(loss, [1 / 16, 0.0], atol=1e-7)  # by hand
    np.testing.assert_allclose(variant(space_consistency)(jnp.zeros((2, 2)), LOGITS), loss)


def test_consistency_trains_both():
    grads = jax.jit(jax.grad(lambda a, b: space_consistency(a, b).sum(), (0, 1)))(LOGITS, NINE)
    assert (np.array(grads) != 0).all()
    np.testing.assert_array_equal(np.sign(grads[0][:, 0]), [-1, -1])
    np.testing.assert_array_equal(np.sign(grads[1][:, 0]), [1, 1])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="bidirectional_matching needs two arrays of one shape"):
        bidirectional_matching(LOGITS, LOGITS[0], jnp.float32(0.5))
    with pytest.raises(ValueError, match=r"confidence_threshold needs logits \[N, C\]"):
        confidence_threshold(LOGITS[0])
    with pytest.raises(ValueError, match="self_penalty needs logits"):
        self_penalty(LOGITS[:, :1], jnp.float32(1.0), jnp.float32(0.5))
