"""Precision, recall and F1 of positives, by hand and against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from mtl_jax.core.validation import BadInput
from mtl_jax.metrics.binary import F1, Precision, Recall

SCORES = [
    (Precision, sklearn.precision_score),
    (Recall, sklearn.recall_score),
    (F1, sklearn.f1_score),
]
ids = ["precision", "recall", "f1"]


def value(metric, logits, labels, mask):
    """A metric from the sums of two parts."""
    parts = [
        metric.from_model_output(*(jnp.asarray(each[p]) for each in (logits, labels, mask)))
        for p in (slice(0, 1), slice(1, None))
    ]
    return metric.compute(jax.tree.map(jnp.add, *parts))


def inputs(seed, shape=(4, 3, 5)):
    """Logits, labels of which some are missing, and a mask of examples."""
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=shape), rng.integers(0, 2, shape).astype(float)
    labels[rng.random(shape) < 0.3] = np.nan
    labels[rng.random(shape) < 0.1] = -1.0
    if seed % 3 == 0:
        logits[..., 0] = -1.0  # A label that is never predicted,
    if seed % 4 == 0:
        labels[..., 1] = 0.0  # one that is never true,
    if seed % 5 == 0:
        labels[..., 2] = np.nan  # and one that is not known.
    return logits, labels, np.arange(shape[0]) != seed % shape[0]


@pytest.mark.parametrize(("metric", "reference"), SCORES, ids=ids)
def test_labels_of_maps_are_scikit_learns(metric, reference):
    for seed in range(100):
        logits, labels, mask = inputs(seed)
        y, said = (each[mask].reshape(-1, each.shape[-1]) for each in (labels, logits > 0))
        known = y >= 0  # Not of NaN.
        each = [
            reference(y[k, d], said[k, d], zero_division=0.0)
            for d, k in enumerate(known.T) if k.any()
        ]  # fmt: skip
        found = value(metric(), logits, labels, mask)
        np.testing.assert_allclose(found, np.mean(each), rtol=1e-6, err_msg=f"{seed}")
        micro = reference(y[known], said[known], zero_division=0.0)
        found = value(metric(average="micro"), logits, labels, mask)
        np.testing.assert_allclose(found, micro, rtol=1e-6, err_msg=f"{seed}")


@pytest.mark.parametrize(("metric", "reference"), SCORES, ids=ids)
def test_micro_average_of_complete_labels_is_scikit_learns(metric, reference):
    logits, labels, mask = inputs(1, (40, 5))
    labels = np.nan_to_num(np.maximum(labels, 0)).astype(np.int32)
    for average in ("micro", "macro"):
        wanted = reference(labels[mask], logits[mask] > 0, average=average)
        found = value(metric(average=average), logits, labels, mask)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("metric", [metric for metric, _ in SCORES], ids=ids)
def test_both_averages_of_one_label_are_the_same(metric):
    logits, labels, mask = inputs(7, (9, 2, 1))
    scores = [
        value(metric(average=average), logits, labels, mask) for average in ("macro", "micro")
    ]
    without_axis = value(metric(), logits, labels[..., 0], mask)
    assert scores[0] == scores[1] == without_axis


@pytest.mark.parametrize("metric", [metric for metric, _ in SCORES], ids=ids)
def test_nothing_known_is_nan_and_an_unknown_average_is_refused(metric):
    labels = np.full((2, 3), np.nan)
    for average in ("macro", "micro"):
        assert np.isnan(value(metric(average=average), np.ones((2, 3)), labels, np.ones(2, bool)))
    assert [metric().name, metric("micro").name][1].startswith("micro ")
    with pytest.raises(BadInput, match="average must be"):
        metric(average="weighted")


def test_f1_by_hand(variant):
    """Said + + + - -, true + - + + -: two found, one wrong, one missed."""
    logits = jnp.array([[1.0], [0.1], [2.0], [-1.0], [-3.0], [1.0]])
    labels = jnp.array([1.0, 0.0, 1.0, 1.0, 0.0, jnp.nan])
    mask = jnp.array([True, True, True, True, True, False])
    sums = variant(F1().from_model_output)(logits, labels, mask)
    assert [each.item() for each in sums] == [2, 1, 1, 5]
    np.testing.assert_allclose(F1().compute(sums), 2 / 3, rtol=1e-6)
    parts = [
        F1().from_model_output(logits[s], labels[s], mask[s]) for s in (slice(0, 2), slice(2, 6))
    ]
    np.testing.assert_allclose(F1().compute(jax.tree.map(jnp.add, *parts)), 2 / 3, rtol=1e-6)
    nothing = F1().from_model_output(-jnp.abs(logits), 0.0 * labels, mask)
    assert F1().compute(nothing) == 0.0


def test_f1_refuses_more_than_one_output():
    with pytest.raises(ValueError, match="f1 needs logits"):
        F1().from_model_output(jnp.ones((4, 2)), jnp.zeros(4), jnp.ones(4, bool))
