"""AUROC and average precision against scikit-learn."""

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as sklearn

from mtl_jax.metrics.ranking import AUROC, AveragePrecision

SCORES = [
    (AUROC(), sklearn.roc_auc_score),
    (AveragePrecision(), sklearn.average_precision_score),
]


def labels_of_maps(seed, shape=(4, 3, 5)):
    """Outputs with ties, and binary labels of which some are missing and one has no positives."""
    rng = np.random.default_rng(seed)
    outputs, labels = rng.normal(size=shape).round(1), rng.integers(0, 2, shape).astype(float)
    labels[rng.random(shape) < 0.2] = np.nan
    labels[rng.random(shape) < 0.1] = -1.0
    labels[..., seed % shape[-1]] *= 0.0
    return outputs, labels


@pytest.mark.parametrize(("metric", "reference"), SCORES, ids=["auroc", "ap"])
def test_several_labels_are_scikit_learns(metric, reference):
    for seed in range(100):
        outputs, labels = labels_of_maps(seed)
        f, y = (each.reshape(-1, 5) for each in (outputs, labels))
        known = y >= 0  # Not of NaN.
        both = [d for d, k in enumerate(known.T) if len(np.unique(y[k, d])) == 2]
        wanted = np.mean([reference(y[known[:, d], d], f[known[:, d], d]) for d in both])
        assert len(both) < 5
        np.testing.assert_allclose(metric.compute(outputs, labels), wanted, rtol=1e-6)


@pytest.mark.parametrize(("metric", "reference"), SCORES, ids=["auroc", "ap"])
def test_complete_labels_are_scikit_learns_macro_average(metric, reference):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        outputs, labels = rng.normal(size=(30, 4)), rng.integers(0, 2, (30, 4))
        wanted = reference(labels, outputs, average="macro")
        np.testing.assert_allclose(metric.compute(outputs, labels), wanted, rtol=1e-6)


@pytest.mark.parametrize("metric", [metric for metric, _ in SCORES], ids=repr)
def test_one_output_takes_labels_with_and_without_an_axis(metric):
    outputs, labels = labels_of_maps(0, (6, 5, 2))
    outputs, labels = outputs[..., 1:].astype(np.float32), labels[..., 1:]
    assert metric.compute(outputs, labels[..., 0]) == metric.compute(outputs, labels)
    whole = np.nan_to_num(labels, nan=-1).astype(np.int32)
    assert metric.compute(outputs, whole) == metric.compute(outputs, labels)


def classes_of_maps(seed, shape=(3, 4, 5)):
    """Logits and classes, of which some are missing and one may never occur."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*shape, 4)), rng.integers(-1, 4 - seed % 2, shape)


@pytest.mark.parametrize(("metric", "reference"), SCORES, ids=["auroc", "ap"])
def test_classes_are_scikit_learns_one_against_rest(metric, reference):
    for seed in range(100):
        logits, labels = classes_of_maps(seed)
        chosen, true = special.softmax(logits[labels >= 0], -1), labels[labels >= 0]
        one_hot = true[:, None] == np.unique(true)
        wanted = reference(one_hot, chosen[:, np.unique(true)], average="macro")
        np.testing.assert_allclose(metric.compute(logits, labels), wanted, rtol=1e-6)
        if metric == AUROC() and seed % 2 == 0:
            named = sklearn.roc_auc_score(true, chosen, multi_class="ovr")
            np.testing.assert_allclose(wanted, named, rtol=1e-6)


@pytest.mark.parametrize("metric", [metric for metric, _ in SCORES], ids=repr)
def test_one_class_alone_is_nan(metric):
    for labels in ([1, 1], [np.nan, 1.0], [-1, -1], [0, 0]):
        assert np.isnan(metric.compute(np.ones((2, 1)), np.array(labels)))
        assert np.isnan(metric.compute(np.ones((2, 3)), np.stack([labels] * 3, 1)))
    assert np.isnan(metric.compute(np.eye(3), np.array([-1, -1, -1])))
    assert np.isnan(metric.compute(np.zeros((0, 3)), np.zeros(0, int)))


@pytest.mark.parametrize("metric", [metric for metric, _ in SCORES], ids=repr)
def test_other_shapes_are_refused(metric):
    with pytest.raises(ValueError, match=rf"{metric.name} needs logits .* integer labels"):
        metric.compute(np.zeros((4, 3)), np.zeros(4))
    with pytest.raises(ValueError, match=rf"{metric.name} needs outputs and labels"):
        metric.compute(np.zeros((4, 3)), np.zeros((4, 2)))
