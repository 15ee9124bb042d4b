"""What is missing in a map has no loss, no gradient and no count."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import losses, metrics
from mtl_jax.core.metric import HostMetric, Metric
from mtl_jax.losses.masked import masked_mean
from mtl_jax.train.evaluate import task_sums
from tests.dense import CLASS_MAP, CLASSES, DATA, DEPTH, NORMALS

LABELS = {name: DATA.train[name][:3].copy() for name in ("classes", "depth", "normals")}
LABELS["classes"][1] = -1  # A whole image.
LABELS["depth"][1] = np.nan
LABELS["several"] = np.where(np.isnan(LABELS["normals"]), np.nan, LABELS["normals"] > 0.5)
TASKS = {"classes": CLASS_MAP, "depth": DEPTH, "normals": NORMALS}
KNOWN = {
    name: values >= 0 if name == "classes" else ~np.isnan(values) for name, values in LABELS.items()
}
# Labels by the name of a loss; of other losses, by the name of their argument.
OF_LOSS = {"binary_cross_entropy": "several", "sigmoid_focal_loss": "several"}
OF_ARGUMENT = {"labels": "classes", "targets": "normals"}
# Of probabilities, sequences, pairs of views and boxes.
OTHERS = {
    "center_loss", "ctc_loss", "kl_divergence", "nt_xent", "probability_squared_error",
    "soft_cross_entropy",
}  # fmt: skip
LOSSES = {
    name: loss
    for name, loss in vars(losses).items()
    if inspect.isfunction(loss) and name not in OTHERS
}
# Metrics of boxes, spans and sequences have other outputs.
OF_DIRECTIONS = {"AngleWithin", "MeanAngle", "MedianAngle"}
OF_OTHERS = {"CharacterErrorRate", "ExactMatch", "MeanAveragePrecision", "SpanF1", "WordErrorRate"}
TOLD = {"AngleWithin": (30.0,), "TopKAccuracy": (2,)} | dict.fromkeys(
    ("ClassF1", "ClassIoU", "ClassPrecision", "ClassRecall"), (1,)
)
METRICS = {
    name: make(*TOLD.get(name, ()))
    for name, make in vars(metrics).items()
    if isinstance(make, type) and issubclass(make, Metric | HostMetric) and name not in OF_OTHERS
}


def labels_of_loss(name, loss):
    return OF_LOSS.get(name) or OF_ARGUMENT[list(inspect.signature(loss).parameters)[1]]


def outputs_for(name, seed):
    size = CLASSES if name == "classes" else LABELS[name].shape[-1]
    shape = LABELS[name].shape[:3]
    return np.random.default_rng(seed).normal(size=(*shape, size)).astype(np.float32)


def changed(name, outputs):
    """Other outputs wherever the label is missing."""
    known = KNOWN[name][..., None] if name == "classes" else KNOWN[name]
    return np.where(known, outputs, outputs_for(name, 9))


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient(name):
    labels = labels_of_loss(name, LOSSES[name])
    mean = functools.partial(masked_mean, LOSSES[name])
    given = jnp.asarray(LABELS[labels]), jnp.ones(3, bool)
    slope = jax.jit(jax.value_and_grad(mean))
    outputs = outputs_for(labels, 0)
    loss, grad = slope(outputs, *given)
    other, other_grad = slope(changed(labels, outputs), *given)
    assert np.isfinite(loss) and np.isfinite(grad).all() and (grad != 0).any()
    assert loss == other
    np.testing.assert_array_equal(grad, other_grad)
    known = KNOWN[labels] if labels == "classes" else KNOWN[labels].any(-1)
    np.testing.assert_array_equal(grad[~known], 0.0)
    if name != "dice_loss":  # It is of whole images.
        each = LOSSES[name](outputs[known], LABELS[labels][known])
        np.testing.assert_allclose(loss, each.mean(), rtol=1e-5)


def labels_of_metric(name, metric):
    if name in OF_DIRECTIONS:
        return "normals"
    return {"multiclass": "classes", "multilabel": "several", "continuous": "depth"}[
        next(t for t in metric.target_types if t != "binary")
    ]


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name):
    metric = METRICS[name]
    labels = labels_of_metric(name, metric)
    values = LABELS[labels]
    outputs, flat = outputs_for(labels, 0), KNOWN[labels]
    flat = flat if labels == "classes" else flat.all(-1)
    alone = outputs[flat], values[flat]
    if isinstance(metric, HostMetric):
        found = [metric.compute(z, values) for z in (outputs, changed(labels, outputs))]
        found.append(metric.compute(*alone))
    else:
        task = TASKS.get(labels, DEPTH).replace(metrics=(metric,)) if labels in TASKS else None
        found = [
            value_in_step(metric, task, z, y)
            for z, y in ((outputs, values), (changed(labels, outputs), values), alone)
        ]
    assert np.isfinite(found).all() and found[0] == found[1]
    np.testing.assert_allclose(found[0], found[2], rtol=1e-5)


def value_in_step(metric, task, outputs, labels):
    """The value by the sums that an evaluation takes."""
    labels, inside = jnp.asarray(labels), jnp.ones(len(labels), bool)
    if task is None:
        return metric.compute(metric.from_model_output(jnp.asarray(outputs), labels, inside))
    sums, nonfinite = task_sums(task, jnp.asarray(outputs), labels, inside)
    assert nonfinite == 0
    return metric.compute(sums[metric.name])


def test_an_image_without_labels_counts_nowhere():
    """Not even if its outputs are not finite."""
    for name, task in (("classes", CLASS_MAP), ("depth", DEPTH)):
        outputs, labels = jnp.asarray(outputs_for(name, 0)), jnp.asarray(LABELS[name])
        inside = jnp.ones(3, bool)
        without, _ = task_sums(task, outputs, labels, inside.at[1].set(False))
        sums, _ = task_sums(task, outputs, labels, inside)
        jax.tree.map(np.testing.assert_array_equal, sums, without)
        _, nonfinite = task_sums(task, outputs.at[1].set(jnp.nan), labels, inside)
        assert nonfinite == 0
