"""Metrics: masks, sums that add up, Delta_m and confidence intervals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.checks import BadInput
from mtl_jax.metrics import Accuracy, MeanSquaredError, delta_m, interval

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


def test_metrics_print_as_their_source():
    assert [repr(case[0]) for case in CASES] == ["Accuracy()", "MeanSquaredError()"]
    assert [case[0].higher_is_better for case in CASES] == [True, False]


def test_delta_m_is_lower_when_better():
    values, baselines = jnp.array([[0.9, 2.0], [0.4, 1.0]]), jnp.array([0.8, 2.0])
    found = delta_m(values, baselines, (True, False))
    np.testing.assert_allclose(found, [-6.25, 0.0], atol=1e-5)  # by hand: -12.5/2, (50 - 50)/2.


def test_delta_m_of_a_published_row():
    """LS on two-task Cityscapes (mIoU, accuracy, absolute and relative depth error)."""
    single = jnp.array([74.01, 93.16, 0.0125, 27.77])
    scalarised = jnp.array([75.18, 93.49, 0.0155, 46.77])
    found = delta_m(scalarised, single, (True, True, False, False))
    np.testing.assert_allclose(found, 22.60, atol=0.4)  # Nash-MTL, Table 3; rows are rounded.


def test_delta_m_refuses_another_number_of_metrics():
    with pytest.raises(ValueError, match="delta_m"):
        delta_m(jnp.ones(3), jnp.ones(3), (True, False))
    with pytest.raises(ValueError, match="delta_m"):
        delta_m(jnp.ones(3), jnp.ones(1), (True, False, True))


def test_interval():
    mean, half = interval(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose([mean, half], [2.0, 4.302653 / np.sqrt(3)], rtol=1e-6)  # t table.
    assert interval([1.0, 2.0, 3.0], confidence=0.5)[1] < half
    assert interval([2.0, 2.0]) == (2.0, 0.0)


def test_interval_of_one_value_has_no_width():
    mean, half = interval([4.0])
    assert mean == 4.0 and np.isnan(half)


@pytest.mark.parametrize(("values", "confidence"), [([], 0.95), ([1.0, 2.0], 1.0), (3.0, 0.9)])
def test_interval_refuses(values, confidence):
    with pytest.raises(BadInput, match=r"interval\."):
        interval(values, confidence)
