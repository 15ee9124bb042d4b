"""Sums over examples on two devices are those on one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mtl_jax import metrics

CLASSES = [
    metrics.Accuracy(), metrics.TopKAccuracy(2), metrics.BalancedAccuracy(), metrics.MacroF1(),
    metrics.MacroPrecision(), metrics.ClassPrecision(1), metrics.ClassRecall(1),
    metrics.ClassF1(1), metrics.ClassIoU(1), metrics.MeanIoU(), metrics.FrequencyWeightedIoU(),
    metrics.NegativeLogLikelihood(), metrics.BrierScore(), metrics.ExpectedCalibrationError(),
]  # fmt: skip
LABELS = [
    metric(average=average)
    for metric in (metrics.Precision, metrics.Recall, metrics.F1)
    for average in ("macro", "micro")
]
NUMBERS = [
    metrics.MeanAbsoluteError(), metrics.RootMeanSquaredError(), metrics.AbsoluteRelativeError(),
    metrics.R2(), metrics.MeanAngle(), metrics.AngleWithin(90.0),
]  # fmt: skip
SPANS = [metrics.ExactMatch(), metrics.SpanF1()]


def inputs(metric):
    """Outputs of maps of four examples, labels of which some are missing, and a mask."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(4, 3, 2, 3)).astype(np.float32)
    mask = np.array([True, True, False, True])
    if metric in CLASSES:
        return outputs, rng.integers(-1, 3, (4, 3, 2)).astype(np.int32), mask
    if metric in SPANS:
        spans = np.array([[0, 1], [-1, -1], [2, 2], [3, 5]], np.int32)
        return outputs.reshape(4, -1, 2), spans, mask
    numbers = (
        rng.normal(size=outputs.shape) if metric in NUMBERS else rng.random(outputs.shape) < 0.4
    )
    missing = rng.random(outputs.shape) < 0.1
    return outputs, np.where(missing, np.nan, numbers).astype(np.float32), mask


@pytest.mark.parametrize("metric", CLASSES + LABELS + NUMBERS + SPANS, ids=repr)
def test_sums_over_two_devices_are_those_of_one(metric):
    mesh = Mesh(np.array(jax.devices()[:2]), ("examples",))
    examples = NamedSharding(mesh, PartitionSpec("examples"))
    arrays = inputs(metric)
    spread = jax.jit(metric.from_model_output)(*jax.device_put(arrays, examples))
    assert all(len(leaf.sharding.device_set) == 2 for leaf in jax.tree.leaves(spread))
    alone = metric.from_model_output(*map(jnp.asarray, arrays))
    assert np.isfinite(metric.compute(alone))
    np.testing.assert_allclose(metric.compute(spread), metric.compute(alone), rtol=1e-6)
