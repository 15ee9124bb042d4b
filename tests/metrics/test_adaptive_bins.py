"""Calibration error of bins of equal count, against scikit-learn's quantiles and by hand."""

import numpy as np
import pytest
from scipy import special
from sklearn.calibration import calibration_curve

from mtl_jax.metrics.adaptive_bins import AdaptiveCalibrationError

C = 4


def inputs(seed, size, bins):
    """Logits and classes of which some are missing; `size` times `bins` are known."""
    rng = np.random.default_rng(seed)
    labels = np.append(rng.integers(0, C, size * bins), np.full(8 + -size * bins % 4, -1))
    labels = rng.permutation(labels).reshape(-1, 4)
    return rng.normal(size=(*labels.shape, C)), labels


def quantile_error(confidence, correct, bins):
    """The error by scikit-learn's quantile bins, which have equal counts if these divide."""
    accuracy, mean = calibration_curve(correct, confidence, n_bins=bins, strategy="quantile")
    assert len(mean) == bins
    return np.abs(accuracy - mean).mean()


@pytest.mark.parametrize("bins", [1, 3, 15])
def test_quantile_bins_are_scikit_learns(bins):
    for seed in range(100):
        logits, labels = inputs(seed, 1 + seed % 4, bins)
        chosen, true = special.softmax(logits[labels >= 0], -1), labels[labels >= 0]
        wanted = quantile_error(chosen.max(-1), chosen.argmax(-1) == true, bins)
        found = AdaptiveCalibrationError(bins).compute(logits, labels)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
        each = [quantile_error(chosen[:, c], true == c, bins) for c in range(C)]
        found = AdaptiveCalibrationError(bins, classwise=True).compute(logits, labels)
        np.testing.assert_allclose(found, np.mean(each), rtol=1e-6)


def test_bins_by_hand():
    """Confidences 0.6, 0.7 | 0.9, where only the first and the last are right."""
    confidence = np.array([0.9, 0.6, 0.7])
    logits = np.log(np.stack([confidence, 1 - confidence], 1))
    found = AdaptiveCalibrationError(2).compute(logits, np.array([0, 0, 1]))
    np.testing.assert_allclose(found, (abs(1.0 - 1.3) + abs(1.0 - 0.9)) / 3, rtol=1e-12)
    one_each = AdaptiveCalibrationError(15).compute(logits, np.array([0, 0, 1]))
    np.testing.assert_allclose(one_each, (0.4 + 0.7 + 0.1) / 3, rtol=1e-12)


def test_the_order_of_equal_confidences_does_not_matter():
    labels = np.array([0, 0, 0, 1, 1, 1])
    logits = np.tile([1.0, 0.0], (6, 1))
    wanted = special.expit(1.0) - 0.5
    for order in (labels, labels[::-1], labels[[0, 3, 1, 4, 2, 5]]):
        found = AdaptiveCalibrationError(3).compute(logits, order)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_nothing_known_is_nan():
    for classwise in (False, True):
        metric = AdaptiveCalibrationError(classwise=classwise)
        assert np.isnan(metric.compute(np.zeros((2, 3)), np.array([-1, -1])))
    assert metric.name == "classwise ece"
