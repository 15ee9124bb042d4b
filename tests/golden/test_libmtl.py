"""Metrics of NYUv2 and Cityscapes against LibMTL's code, on predictions drawn at random."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import metrics
from tests.golden.reading import read

CLASSES = {"nyuv2": 13, "cityscapes": 7}
SEGMENTATION = (metrics.MeanIoU(), metrics.Accuracy())
DEPTH = (metrics.MeanAbsoluteError(), metrics.AbsoluteRelativeError())
NORMAL = (metrics.MeanAngle(), metrics.MedianAngle(),
          *(metrics.AngleWithin(degrees) for degrees in (11.25, 22.5, 30.0)))  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def problem(seed, classes):
    """Outputs and labels of segmentation, depth and normals; 0 and -1 where unknown."""
    rng = np.random.default_rng([seed, classes])
    size = (4, 8, 9)
    logits, label = rng.normal(size=(*size, classes)), rng.integers(-1, classes, size)
    depth = rng.uniform(0.1, 9.0, (*size, 1)) * (rng.random((*size, 1)) < 0.8)
    near = np.abs(depth + rng.normal(size=depth.shape))
    normal = rng.normal(size=(*size, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    other = normal + 0.5 * rng.normal(size=normal.shape)
    return (logits, label), (near, depth), (other, normal * (rng.random((*size, 1)) < 0.8))


def score(metric, outputs, labels):
    """A metric over batches of two, or of all at once on the host."""
    missing = (labels == 0).all(-1, keepdims=True) & (labels.dtype.kind == "f")
    labels = np.where(missing, np.nan, labels) if labels.dtype.kind == "f" else labels
    if isinstance(metric, metrics.MedianAngle):
        return metric.compute(outputs, labels)
    pairs = [(outputs[i : i + 2], labels[i : i + 2]) for i in range(0, len(labels), 2)]
    sums = [
        metric.from_model_output(jnp.array(one), jnp.array(label), jnp.ones(len(one), bool))
        for one, label in pairs
    ]
    return metric.compute(jax.tree.map(lambda *each: sum(each), *sums))


@pytest.mark.parametrize("name", CLASSES)
def test_metrics_are_libmtls(golden_dir, name):
    """Where all classes occur; depth and angles are LibMTL's means over all known pixels."""
    file = read(golden_dir).get("libmtl.json")
    if file is None:
        pytest.skip(f"no libmtl.json in {golden_dir}")
    for seed, expected in enumerate(file["problems"][name]):
        kinds = (SEGMENTATION, DEPTH) + (NORMAL,) * (name == "nyuv2")
        found = [
            float(score(metric, *pair))
            for kind, pair in zip(kinds, problem(seed, CLASSES[name]), strict=False)
            for metric in kind
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=f"{name}, problem {seed}")


def test_where_it_is_known_to_differ():
    """By LibMTL's code: a class that occurs nowhere, and a normal whose components sum to 0."""
    logits, labels = np.eye(3)[np.array([[[0, 1]]])], np.array([[[0, 1]]])
    assert float(score(metrics.MeanIoU(), logits, labels)) == 1.0  # LibMTL: 0 / 0, NaN.
    normal = np.array([[[[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]]]) / np.sqrt(2.0)
    angle = score(metrics.MeanAngle(), np.ones((1, 1, 2, 3)), normal)
    np.testing.assert_allclose(angle, 90.0)  # LibMTL: takes it for unknown, NaN.
