"""Every estimate: labels that are missing, examples in any order, and what is refused."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import transferability

RANDOM = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], 8)
PROBABILITIES = RANDOM.dirichlet(np.ones(4), size=24)
OF_FEATURES = [
    transferability.h_score,
    transferability.regularized_h_score,
    transferability.logme,
    transferability.transrate,
]
OF_ROWS = [*OF_FEATURES, transferability.leep]
ALL = [*OF_ROWS, transferability.nce]


def given(estimate):
    """What an estimate reads beside the labels."""
    return PROBABILITIES.argmax(1) if estimate is transferability.nce else PROBABILITIES


@pytest.mark.parametrize("estimate", ALL)
def test_it_is_a_number(estimate):
    assert type(estimate(given(estimate), LABELS)) is float
    assert np.isfinite(estimate(given(estimate), LABELS))


@pytest.mark.parametrize("estimate", ALL)
def test_missing_labels_are_left_out(estimate):
    values, there = given(estimate), np.arange(24) % 5 > 0
    found = estimate(values, np.where(there, LABELS, -1))
    np.testing.assert_allclose(found, estimate(values[there], LABELS[there]), rtol=1e-12)


@pytest.mark.parametrize("estimate", ALL)
def test_order_and_names_of_classes_do_not_count(estimate):
    values, turn = given(estimate), RANDOM.permutation(24)
    found = estimate(values[turn], np.array([7, 0, 3])[LABELS[turn]])
    np.testing.assert_allclose(found, estimate(values, LABELS), rtol=1e-9)


@pytest.mark.parametrize("estimate", OF_ROWS)
def test_single_precision_is_raised(estimate):
    rounded = PROBABILITIES.astype(np.float32)
    found = estimate(rounded, LABELS.astype(np.int8))
    assert found == estimate(rounded.astype(np.float64), LABELS)


@pytest.mark.parametrize("estimate", OF_FEATURES)
@pytest.mark.parametrize("scale", [0.0, 1e-8, 1e8])
def test_any_scale_is_finite_and_more_numbers_than_examples_are(estimate, scale):
    features = scale * RANDOM.normal(size=(24, 40))
    assert np.isfinite(estimate(features, LABELS))


@pytest.mark.parametrize("estimate", ALL)
def test_bad_labels_are_refused(estimate):
    values, name = given(estimate), estimate.__name__
    for labels, text in [
        (np.full(24, -1), "there is none"),
        (np.full(24, 2), "at least two classes, all labels are 2"),
        (LABELS[:5], "24|5"),
        (LABELS - 2, "at least 0, or -1 for none, not -2"),
        (LABELS / 1.0, r"integer labels \[N\], not float64"),
    ]:
        with pytest.raises(BadInput, match=f"{name} needs .*({text})"):
            estimate(values, labels)
    with pytest.raises(BadInput, match=name):
        estimate(values[:0], LABELS[:0])


@pytest.mark.parametrize("estimate", OF_ROWS)
def test_nan_is_refused_where_it_counts(estimate):
    values = PROBABILITIES.copy()
    values[3, 1] = np.nan
    with pytest.raises(BadInput, match="finite values, 1 of 24 rows are not"):
        estimate(values, LABELS)
    assert np.isfinite(estimate(values, np.where(np.arange(24) == 3, -1, LABELS)))


@pytest.mark.parametrize("estimate", OF_ROWS)
def test_only_a_matrix(estimate):
    with pytest.raises(BadInput, match=r"needs \[24, D\]"):
        estimate(PROBABILITIES[:, :, None], LABELS)
