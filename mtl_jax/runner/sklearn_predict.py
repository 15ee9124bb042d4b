"""Predictions of scikit-learn baselines, as model outputs for the task's metrics."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.metric import HostMetric, Metric
from mtl_jax.core.validation import BadInput


def predict_metrics(
    row: SklearnBaseline,
    estimator: Any,
    vectors: np.ndarray,
    labels: np.ndarray,
    needs_probabilities: tuple[bool, ...],
) -> list[float]:
    """The task's metrics of a fitted estimator; NaN if there are no examples.

    Args:
      row: the baseline.
      estimator: a fitted estimator with `predict`.
      vectors: the inputs, `[N, D]`.
      labels: the labels of the data, none missing, `[N, ...]`.
      needs_probabilities: whether each metric needs probabilities.

    Raises:
      BadInput: for predictions of another shape, or of classes outside the task.
    """
    if len(labels) == 0:
        return [math.nan] * len(row.task.metrics)
    from_classes = from_probabilities = [math.nan] * len(row.task.metrics)
    if any(needs_probabilities):
        outputs = outputs_of_probabilities(row, estimator, vectors)
        from_probabilities = values_of(row, outputs, labels)
    if not all(needs_probabilities):
        from_classes = values_of(row, predict_outputs(row, estimator, vectors, labels), labels)
    pairs = zip(from_classes, from_probabilities, needs_probabilities, strict=True)
    return [second if needed else first for first, second, needed in pairs]


def predict_outputs(
    row: SklearnBaseline, estimator: Any, vectors: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Outputs `[N, C]` that predict what an estimator does.

    Raises:
      BadInput: for predictions of another shape, or of classes outside the task.
    """
    outputs = row.task.num_outputs
    predicted = np.asarray(estimator.predict(vectors))
    if row.target_type == "continuous":
        if predicted.size != len(labels) * outputs:
            rule = f"must predict [{len(labels)}, {outputs}] numbers"
            raise BadInput(f"{type(estimator).__name__} {rule}, not {list(predicted.shape)}")
        return predicted.reshape(len(labels), outputs).astype(np.float32)
    classes = np.arange(max(outputs, 2))
    same_shape = predicted.shape == labels.shape
    if not same_shape or not np.isin(predicted, classes).all():
        shape = list(predicted.shape)
        invalid = np.setdiff1d(predicted, classes)[:1].tolist() if same_shape else shape
        rule = f"must predict [{len(labels)}] classes in 0..{classes[-1]}"
        raise BadInput(f"{type(estimator).__name__} {rule}, not {invalid}")
    return outputs_of_classes(predicted.astype(np.int32), outputs)


def outputs_of_classes(classes: np.ndarray, outputs: int) -> np.ndarray:
    """Outputs `[N, C]` that predict classes `[N]`: one-hot, or 1 and -1 for one output."""
    if outputs == 1:
        return np.where(classes[:, None] == 1, 1.0, -1.0).astype(np.float32)
    return (classes[:, None] == np.arange(outputs)).astype(np.float32)


def outputs_of_probabilities(
    row: SklearnBaseline, estimator: Any, vectors: np.ndarray
) -> np.ndarray:
    """Log probabilities `[N, C]`, or for one output the difference of the two.

    Probabilities are clipped from below at the smallest normal float32.
    """
    outputs = row.task.num_outputs
    probabilities = np.zeros((len(vectors), max(outputs, 2)))
    probabilities[:, np.asarray(estimator.classes_, int)] = estimator.predict_proba(vectors)
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).astype(np.float32)
    return logs[:, 1:] - logs[:, :1] if outputs == 1 else logs


def values_of(row: SklearnBaseline, outputs: np.ndarray, labels: np.ndarray) -> list[float]:
    """The task's metrics of outputs `[N, C]` and labels `[N, ...]`, none of them missing.

    Raises:
      BadInput: if a metric does not accept them.
    """
    try:
        return [metric_value(metric, outputs, labels) for metric in row.task.metrics]
    except (TypeError, ValueError) as error:
        raise BadInput(f"row {row.name!r}: metric of {row.task.name!r}: {error}") from error


def metric_value(metric: Metric | HostMetric, outputs: np.ndarray, labels: np.ndarray) -> float:
    """A metric of outputs `[N, C]` and labels `[N, ...]`."""
    if isinstance(metric, HostMetric):
        return float(metric.compute(outputs, labels))
    mask = jnp.ones(len(labels), bool)
    sums = metric.from_model_output(jnp.asarray(outputs, jnp.float32), jnp.asarray(labels), mask)
    return float(metric.compute(sums))
