"""Metrics: masks, and sums that add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.metrics import F1, Accuracy, MeanSquaredError

LOGITS = jnp.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [0.0, 3.0]])
CASES = [
    (Accuracy(), LOGITS, jnp.array([0, 0, 0, -1])),
    (MeanSquaredError(), LOGITS[:, :1], jnp.array([0.5, 0.5, 2.0, jnp.nan])),
]
MASK = jnp.array([True, True, True, False])


def test_accuracy_counts_what_is_in_the_mask(variant):
    method, logits, labels = CASES[0]
    sums = variant(method.sums)(logits, labels, MASK)
    np.testing.assert_allclose(method.compute(sums), 2 / 3, rtol=1e-6)
    assert sums.total.dtype == sums.count.dtype == jnp.float32


def test_mse_leaves_out_missing_targets(variant):
    method, predictions, targets = CASES[1]
    value = method.compute(variant(method.sums)(predictions, targets, MASK))
    np.testing.assert_allclose(value, 0.5 / 3, rtol=1e-6)  # (.25 + .25 + 0) / 3.
    two = method.sums(LOGITS, jnp.zeros((4, 2)), jnp.ones(4, bool))
    np.testing.assert_allclose(method.compute(two), (1 + 1 + 4 + 1 + 9) / 8)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].name)
def test_added_sums_are_the_metric_of_all(case):
    method, logits, labels = case
    parts = [method.sums(logits[s], labels[s], MASK[s]) for s in (slice(0, 1), slice(1, 4))]
    added = method.compute(jax.tree.map(jnp.add, *parts))
    np.testing.assert_allclose(added, method.compute(method.sums(logits, labels, MASK)), rtol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].name)
def test_an_empty_mask_is_nan_without_a_warning(case):
    method, logits, labels = case
    sums = method.sums(logits, labels, jnp.zeros(4, bool))
    assert np.isnan(method.compute(sums))
    assert np.isnan(method.compute(jax.device_get(sums)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].name)
def test_what_does_not_fit_is_refused(case):
    method, logits, labels = case
    with pytest.raises(ValueError, match=f"{method.name} needs .*mask"):
        method.sums(logits, labels, jnp.ones(4))
    with pytest.raises(ValueError, match=method.name):
        method.sums(logits, labels[:3], MASK)
    with pytest.raises(ValueError, match=f"{method.name} needs labels"):
        method.sums(logits, jnp.zeros((4, 5)), MASK)


def test_f1_by_hand(variant):
    """Said + + + - -, true + - + + -: two found, one wrong, one missed."""
    logits = jnp.array([[1.0], [0.1], [2.0], [-1.0], [-3.0], [1.0]])
    labels = jnp.array([1.0, 0.0, 1.0, 1.0, 0.0, jnp.nan])
    mask = jnp.array([True, True, True, True, True, False])
    sums = variant(F1().sums)(logits, labels, mask)
    assert (float(sums.found), float(sums.missed), float(sums.wrong)) == (2.0, 1.0, 1.0)
    np.testing.assert_allclose(F1().compute(sums), 2 / 3, rtol=1e-6)
    parts = [F1().sums(logits[s], labels[s], mask[s]) for s in (slice(0, 2), slice(2, 6))]
    np.testing.assert_allclose(F1().compute(jax.tree.map(jnp.add, *parts)), 2 / 3, rtol=1e-6)
    nothing = F1().sums(-jnp.abs(logits), 0.0 * labels, mask)
    assert F1().compute(nothing) == 0.0


def test_f1_refuses_more_than_one_output():
    with pytest.raises(ValueError, match="f1 needs logits"):
        F1().sums(LOGITS, jnp.zeros(4), MASK)


def test_metrics_print_as_their_source():
    assert [repr(case[0]) for case in CASES] == ["Accuracy()", "MeanSquaredError()"]
    assert [case[0].higher_is_better for case in CASES] == [True, False]
