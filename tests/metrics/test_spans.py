"""Spans against trying all of them, with SQuAD's F1 of bags of tokens."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.metrics.spans import ExactMatch, SpanF1, best_spans


def inputs(seed, size=7, length=9):
    """Outputs, spans of which some are missing, and a mask."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, length, (size, 2)), -1)
    labels[rng.random(size) < 0.2] = -1
    logits = rng.normal(size=(size, length, 2))
    logits[np.arange(size)[:, None], labels, [0, 1]] += 1.5  # Often right.
    return logits, labels, rng.random(size) < 0.8


def best(logits, max_length):
    """The best span by trying all."""
    tokens = range(len(logits))
    spans = [(s, e) for e in tokens for s in tokens if s <= e < s + max_length]
    return max(spans, key=lambda span: logits[span[0], 0] + logits[span[1], 1])


def f1(predicted, true):
    """F1 of two bags of tokens."""
    bags = [collections.Counter(range(s, e + 1)) for s, e in (predicted, true)]
    common = (bags[0] & bags[1]).total()
    if common == 0:
        return 0.0
    precision, recall = (common / bag.total() for bag in bags)
    return 2 * precision * recall / (precision + recall)


def value(metric, logits, labels, mask):
    """A metric from the sums of two parts."""
    parts = [
        metric.from_model_output(jnp.array(logits[p]), jnp.array(labels[p]), jnp.array(mask[p]))
        for p in (slice(0, 2), slice(2, None))
    ]
    return metric.compute(jax.tree.map(jnp.add, *parts))


@pytest.mark.parametrize("max_length", [1, 3, 30])
def test_scores_are_those_of_the_best_span(max_length):
    with jax.enable_x64(True):
        for seed in range(100):
            logits, labels, mask = inputs(seed)
            known = mask & (labels[:, 0] >= 0)
            pairs = [(best(logits[i], max_length), tuple(labels[i])) for i in np.nonzero(known)[0]]
            wanted = np.mean([p == t for p, t in pairs]) if pairs else np.nan
            found = value(ExactMatch(max_length), logits, labels, mask)
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
            wanted = np.mean([f1(p, t) for p, t in pairs]) if pairs else np.nan
            found = value(SpanF1(max_length), logits, labels, mask)
            np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_the_best_span_under_jit_and_with_padding(variant):
    logits = jnp.array([[[0.0, 5.0], [3.0, 1.0], [4.0, 2.0], [-1e9, -1e9]]])
    spans = variant(lambda z: best_spans(z, 30))(logits)
    assert (spans.start.item(), spans.end.item()) == (2, 2)  # Not (2, 0), whose sum is larger.
    equal = variant(lambda z: best_spans(z, 2))(jnp.zeros((1, 4, 2)))
    assert (equal.start.item(), equal.end.item()) == (0, 0)


@pytest.mark.parametrize("metric", [ExactMatch(), SpanF1()], ids=repr)
def test_nothing_known_is_nan_and_other_shapes_are_refused(metric):
    missing = np.full((3, 2), -1)
    assert np.isnan(value(metric, np.zeros((3, 5, 2)), missing, np.ones(3, bool)))
    for logits, labels in (((3, 5, 3), missing), ((3, 5, 2), missing.astype(float))):
        with pytest.raises(ValueError, match=rf"{metric.name} needs logits \[B, T, 2\]"):
            value(metric, np.zeros(logits), labels, np.ones(3, bool))
