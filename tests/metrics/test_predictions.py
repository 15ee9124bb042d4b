"""Metrics: masks, and sums that add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from mtl_jax.metrics.binary import F1
from mtl_jax.metrics.predictions import Accuracy, MeanSquaredError

LOGITS = jnp.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [0.0, 3.0]])
CASES = [
    (Accuracy(), LOGITS, jnp.array([0, 0, 0, -1])),
    (MeanSquaredError(), LOGITS[:, :1], jnp.array([0.5, 0.5, 2.0, jnp.nan])),
    (F1(), LOGITS[:, :1], jnp.array([1.0, 0.0, 0.0, jnp.nan])),
]
MASK = jnp.array([True, True, True, False])


def test_accuracy_counts_what_is_in_the_mask(variant):
    method, logits, labels = CASES[0]
    sums = variant(method.from_model_output)(logits, labels, MASK)
    np.testing.assert_allclose(method.compute(sums), 2 / 3, rtol=1e-6)
    assert sums.total.dtype == sums.count.dtype == jnp.float32


def test_mse_leaves_out_missing_targets(variant):
    method, predictions, targets = CASES[1]
    value = method.compute(variant(method.from_model_output)(predictions, targets, MASK))
    np.testing.assert_allclose(value, 0.5 / 3, rtol=1e-6)  # (.25 + .25 + 0) / 3.
    two = method.from_model_output(LOGITS, jnp.zeros((4, 2)), jnp.ones(4, bool))
    np.testing.assert_allclose(method.compute(two), (1 + 1 + 4 + 1 + 9) / 8)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].name)
def test_added_sums_are_the_metric_of_all(case):
    method, logits, labels = case
    parts = [
        method.from_model_output(logits[s], labels[s], MASK[s]) for s in (slice(0, 1), slice(1, 4))
    ]
    added = method.compute(jax.tree.map(jnp.add, *parts))
    np.testing.assert_allclose(
        added, method.compute(method.from_model_output(logits, labels, MASK)), rtol=1e-6
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].name)
def test_an_empty_mask_is_nan_without_a_warning(case):
    method, logits, labels = case
    sums = method.from_model_output(logits, labels, jnp.zeros(4, bool))
    assert np.isnan(method.compute(sums))
    assert np.isnan(method.compute(jax.device_get(sums)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].name)
def test_what_does_not_fit_is_refused(case):
    method, logits, labels = case
    with pytest.raises(ValueError, match=f"{method.name} needs .*mask"):
        method.from_model_output(logits, labels, jnp.ones(4))
    with pytest.raises(ValueError, match=method.name):
        method.from_model_output(logits, labels[:3], MASK)
    with pytest.raises(ValueError, match=f"{method.name} needs .*(labels|targets)"):
        method.from_model_output(logits, jnp.zeros((4, 5)), MASK)


def test_metrics_print_as_their_source():
    assert [repr(case[0]) for case in CASES] == [
        "Accuracy()",
        "MeanSquaredError()",
        "F1(average='macro')",
    ]
    assert [case[0].higher_is_better for case in CASES] == [True, False, True]
    assert [case[0].scale for case in CASES] == [100.0, 1.0, 100.0]  # Shares print as percent.


def value_of(metric, logits, labels, mask):
    """A metric of arrays, added up over two parts."""
    parts = [slice(None, 2), slice(2, None)]
    sums = [
        metric.from_model_output(*map(jnp.asarray, (logits[s], labels[s], mask[s]))) for s in parts
    ]
    return metric.compute(jax.tree.map(jnp.add, *sums))


def score(name, known, logits, labels):
    """scikit-learn's score of one output or label on what is known."""
    y = labels[known]
    if name == "mse":
        return reference.mean_squared_error(y, logits[known])
    said = logits[known] > 0
    if name == "accuracy":
        return reference.accuracy_score(y > 0.5, said)
    return reference.f1_score(y > 0.5, said, zero_division=0.0)


BATCHES = {
    "seed": st.integers(0, 2**16),
    "size": st.integers(3, 8),
    "share": st.sampled_from([0.3, 0.7, 1.0]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.parametrize("axes", [1, 2])
@settings(max_examples=15, deadline=None)
@given(**BATCHES)
def test_one_output_is_yes_above_zero(dtype, axes, seed, size, share):
    """Accuracy and F1 of a logistic output are scikit-learn's, of labels `[B]` and `[B, 1]`."""
    random = np.random.default_rng(seed)
    logits, labels = random.normal(size=(size, 1)), random.integers(0, 2, size)
    mask = random.random(size) < share
    mask[0] = True
    shown = np.where(mask, labels, -1).astype(dtype).reshape((size, 1)[:axes])
    for metric in (Accuracy(), F1()):
        found = value_of(metric, logits.astype(np.float32), shown, mask)
        np.testing.assert_allclose(found, score(metric.name, mask, logits[:, 0], labels), rtol=1e-6)


def test_one_output_of_zeros_is_not_the_share_of_zeros():
    labels = jnp.array([1.0, 1.0, 1.0, 0.0])
    sums = Accuracy().from_model_output(jnp.full((4, 1), 3.0), labels, jnp.ones(4, bool))
    assert Accuracy().compute(sums) == 0.75
    exact = Accuracy().from_model_output(jnp.zeros((4, 1)), labels, jnp.ones(4, bool))
    assert Accuracy().compute(exact) == 0.25  # 0 says no, as for scikit-learn's decisions.
    counts = F1().from_model_output(jnp.zeros((4, 1)), labels, jnp.ones(4, bool))
    found = (counts.true_positives, counts.false_positives, counts.false_negatives)
    assert [each.item() for each in found] == [0, 0, 3]


@settings(max_examples=20, deadline=None)
@given(**BATCHES)
def test_squared_errors_are_of_the_known_entries(seed, size, share):
    random = np.random.default_rng(seed)
    logits, labels = (random.normal(size=(size, 3)).astype(np.float32) for _ in range(2))
    mask = random.random(size) < share
    known = (random.random((size, 3)) < share) & mask[:, None]
    hidden = np.where(known | ~mask[:, None], labels, np.nan)
    found = value_of(MeanSquaredError(), logits, hidden, mask)
    wanted = score("mse", known, logits, labels) if known.any() else np.nan
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_count_of_vectors_is_in_examples():
    labels = jnp.array([[0.0, jnp.nan], [1.0, 1.0], [jnp.nan, jnp.nan]])
    sums = MeanSquaredError().from_model_output(jnp.zeros((3, 2)), labels, jnp.ones(3, bool))
    assert (float(sums.total), float(sums.count)) == (1.0, 1.5)


@pytest.mark.parametrize("metric", [Accuracy(), F1(), MeanSquaredError()], ids=repr)
def test_what_is_not_in_the_mask_changes_nothing(metric):
    random = np.random.default_rng(0)
    mask = np.array([True, False, True, False, True])
    logits, labels = random.normal(size=(5, 1)).astype(np.float32), random.integers(0, 2, 5)
    found = value_of(metric, logits, labels.astype(np.float32), mask)
    for other in (0.0, 1.0, np.nan):
        moved = np.where(mask[:, None], logits, -logits)
        hidden = np.where(mask, labels, other).astype(np.float32)
        np.testing.assert_array_equal(value_of(metric, moved, hidden, mask), found)
