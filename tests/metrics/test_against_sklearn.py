"""Metrics of classes, probabilities and numbers against scikit-learn, on random input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from mtl_jax import metrics

C = 5
SEEDS = range(100)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def inputs(seed, shape=(3, 4, 5)):
    """Logits, classes of which some are missing or never occur, and a mask of examples."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(*shape, C))
    labels = rng.integers(-1, C - seed % 2, shape)
    mask = rng.random(shape[0]) < 0.7
    mask[0], labels[0].flat[:2] = True, (0, 1)
    return logits, labels, mask


def known(logits, labels, mask):
    """Logits and labels of the entries that count."""
    chosen = mask.reshape(-1, *(1,) * (labels.ndim - 1)) & (labels >= 0)
    return logits[chosen], labels[chosen]


def value(metric, logits, labels, mask):
    """A metric from the sums of two parts."""
    parts = [
        metric.from_model_output(jnp.array(logits[p]), jnp.array(labels[p]), jnp.array(mask[p]))
        for p in (slice(0, 1), slice(1, None))
    ]
    return metric.compute(jax.tree.map(jnp.add, *parts))


def probabilities(logits):
    return np.array(jax.nn.softmax(logits))


def iou(true, logits):
    """Of the classes that are true or predicted."""
    predicted = logits.argmax(-1)
    classes = np.union1d(true, predicted)
    return sklearn.jaccard_score(true, predicted, labels=classes, average="macro")


def weighted_iou(true, logits):
    return sklearn.jaccard_score(true, logits.argmax(-1), average="weighted")


def brier(true, logits):
    return np.square(probabilities(logits) - np.eye(C)[true]).sum(-1).mean()


def calibration_error(true, logits):
    """One bin after the other."""
    found, probs = 0.0, probabilities(logits)
    confidence, correct = probs.max(-1), probs.argmax(-1) == true
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            found += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return found


def recall(true, logits):
    classes = np.unique(true)
    return sklearn.recall_score(true, logits.argmax(-1), labels=classes, average="macro")


def class_score(reference, index):
    """A score of scikit-learn of one class; NaN where it neither is nor is predicted."""

    def score(true, logits):
        predicted = logits.argmax(-1)
        if index not in (true if reference is sklearn.recall_score else (*true, *predicted)):
            return np.nan
        return reference(true, predicted, labels=[index], average="macro", zero_division=0.0)

    return score


def macro_precision(true, logits):
    return sklearn.precision_score(true, logits.argmax(-1), average="macro", zero_division=0.0)


CLASSES = [
    (metrics.Accuracy(), lambda y, z: sklearn.accuracy_score(y, z.argmax(-1))),
    (metrics.BalancedAccuracy(), recall),
    (metrics.MacroF1(), lambda y, z: sklearn.f1_score(y, z.argmax(-1), average="macro")),
    (metrics.MacroPrecision(), macro_precision),
    *[
        (score(index), class_score(reference, index))
        for index in (1, C - 1)  # The last class is true only in every other input.
        for score, reference in (
            (metrics.ClassPrecision, sklearn.precision_score),
            (metrics.ClassRecall, sklearn.recall_score),
            (metrics.ClassF1, sklearn.f1_score),
            (metrics.ClassIoU, sklearn.jaccard_score),
        )
    ],
    (metrics.MeanIoU(), iou),
    (metrics.FrequencyWeightedIoU(), weighted_iou),
    (
        metrics.TopKAccuracy(2),
        lambda y, z: sklearn.top_k_accuracy_score(y, z, k=2, labels=range(C)),
    ),
    (
        metrics.NegativeLogLikelihood(),
        lambda y, z: sklearn.log_loss(y, probabilities(z), labels=range(C)),
    ),
    (metrics.BrierScore(), brier),
    (metrics.ExpectedCalibrationError(), calibration_error),
]


@pytest.mark.parametrize(("metric", "reference"), CLASSES, ids=lambda each: type(each).__name__)
def test_classes_of_maps(metric, reference):
    for seed in SEEDS:
        logits, labels, mask = inputs(seed)
        chosen, true = known(logits, labels, mask)
        found = value(metric, logits, labels, mask)
        np.testing.assert_allclose(found, reference(true, chosen), rtol=1e-6, err_msg=f"{seed}")


NUMBERS = [
    (metrics.MeanAbsoluteError(), lambda y, f: np.abs(y - f)[~np.isnan(y)].mean()),
    (metrics.RootMeanSquaredError(), lambda y, f: np.sqrt(np.square(y - f)[~np.isnan(y)].mean())),
    (
        metrics.AbsoluteRelativeError(),
        lambda y, f: np.abs(f / np.where(y == 0, np.nan, y) - 1)[~np.isnan(y) & (y != 0)].mean(),
    ),
    (
        metrics.R2(),
        lambda y, f: np.mean([
            sklearn.r2_score(a[~np.isnan(a)], b[~np.isnan(a)])
            for a, b in zip(y.T, f.T, strict=True)
        ]),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "reference"), NUMBERS, ids=lambda each: type(each).__name__)
def test_numbers_of_maps(metric, reference):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        predictions, targets = rng.normal(size=(2, 4, 3, 3, 2))
        targets[rng.random(targets.shape) < 0.2] = np.nan
        targets[rng.random(targets.shape) < 0.1] = 0.0
        mask = rng.random(4) < 0.7
        mask[:2] = True
        true = np.where(mask[:, None, None, None], targets, np.nan).reshape(-1, 2)
        found = value(metric, predictions, targets, mask)
        wanted = reference(true, predictions.reshape(-1, 2))
        np.testing.assert_allclose(found, wanted, rtol=1e-6, err_msg=f"{seed}")


@pytest.mark.parametrize("metric", [metric for metric, _ in CLASSES + NUMBERS])
def test_nothing_known_is_nan(metric):
    numbers = any(metric is each for each, _ in NUMBERS)
    labels = np.full((2, 3, 1), np.nan) if numbers else np.full((2, 3), -1)
    assert np.isnan(value(metric, np.zeros((2, 3, 1 if numbers else C)), labels, np.ones(2, bool)))


@pytest.mark.parametrize("metric", [metric for metric, _ in CLASSES + NUMBERS])
def test_other_shapes_are_refused(metric):
    with pytest.raises(ValueError, match=r"needs (logits|predictions)"):
        metric.from_model_output(jnp.zeros((2, 3, C)), jnp.zeros((2, 4), int), jnp.ones(2, bool))


def test_ranks_of_ties_and_angles_of_nothing():
    labels, mask = jnp.arange(C), jnp.ones(C, bool)
    sums = metrics.TopKAccuracy(2).from_model_output(jnp.zeros((C, C)), labels, mask)
    assert sums.total == 2  # of all equal outputs, the first two
    sums = metrics.R2().from_model_output(jnp.ones((2, 1)), jnp.ones((2, 1)), mask[:2])
    assert metrics.R2().compute(sums) == 1.0  # constant, and predicted exactly
    sums = metrics.MeanAngle().from_model_output(jnp.ones((1, 3)), jnp.zeros((1, 3)), mask[:1])
    assert sums.count == 0
