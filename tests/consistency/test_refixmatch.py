"""ReFixMatch: sure guesses are labels, the others are sharpened probabilities."""

import dataclasses

import jax
import numpy as np

from mtl_jax.consistency import ConfidenceThreshold, DistributionAlignment, FixMatch, ReFixMatch
from mtl_jax.core.aux_inputs import DatasetSizes
from tests.consistency.seen import seen

METHOD = ReFixMatch(mask=ConfidenceThreshold(0.8))
WEAK = np.log(np.array([[0.9, 0.1], [0.6, 0.4]], np.float32))
STRONG = np.log(np.array([[0.5, 0.5], [0.2, 0.8]], np.float32))

update = jax.jit(ReFixMatch.update, static_argnums=0)


def run(method=METHOD, weak=WEAK, strong=STRONG):
    views = seen(method, 0)._replace(logits={"weak": weak, "strong": strong})
    return update(method, views, method.init(DatasetSizes(2, 20, 4)))


def test_values_by_hand():
    loss, _, metrics = run()
    q = np.array([0.36, 0.16]) / 0.52  # by hand: squares of .6 and .4
    unsure = (q * np.log(q / [0.2, 0.8])).sum()
    np.testing.assert_allclose(loss, [np.log(2.0), unsure], rtol=1e-5)
    assert metrics["mask_rate"] == 0.5


def test_sure_examples_are_as_in_fixmatch():
    strong, weak = (np.random.default_rng(s).normal(size=(9, 2)) * 3 for s in (0, 1))
    views = seen(METHOD, 0)._replace(logits={"weak": weak, "strong": strong})
    fixed = FixMatch(0.8)
    other, _, metrics = fixed.update(views, fixed.init(DatasetSizes(2, 20, 4)))
    loss, _, again = run(METHOD, weak, strong)
    assert metrics["mask_rate"] == again["mask_rate"]
    np.testing.assert_allclose(loss[other > 0], other[other > 0], rtol=1e-5)
    assert (loss[other == 0] > 0).all()


def test_no_guess_is_lost():
    """Every example pulls its strong view, and none its weak one."""
    grads = jax.grad(lambda w, s: run(METHOD, w, s)[0].sum(), (0, 1))(WEAK, STRONG)
    np.testing.assert_array_equal(grads[0], np.zeros_like(WEAK))
    q = np.array([[1.0, 0.0], np.array([0.36, 0.16]) / 0.52])
    np.testing.assert_allclose(grads[1], np.exp(STRONG) - q, atol=1e-6)  # by hand: softmax - q


def test_a_cold_guess_becomes_a_label():
    loss, _, _ = run(dataclasses.replace(METHOD, temperature=0.01))
    np.testing.assert_allclose(loss, -STRONG[:, 0], rtol=1e-4)


def test_guesses_may_be_aligned():
    method = ReFixMatch(align=DistributionAlignment(momentum=0.0), mask=ConfidenceThreshold(0.8))
    loss, state, metrics = run(method)
    np.testing.assert_allclose(state.align.model, [0.75, 0.25], rtol=1e-6)  # by hand
    assert metrics["mask_rate"] == 0.0  # .75 of class 0, then .667 of class 1
    q = np.array([[3.0, 1.0], [1.0, 2.0]]) ** 2  # by hand: .9 / .75 to .1 / .25, and so on
    q /= q.sum(-1, keepdims=True)
    np.testing.assert_allclose(loss, (q * (np.log(q) - STRONG)).sum(-1), rtol=1e-4, atol=1e-6)
