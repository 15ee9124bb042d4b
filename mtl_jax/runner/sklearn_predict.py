"""Predictions of scikit-learn baselines, as model outputs for the task's metric."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.validation import BadInput


def predict_outputs(
    row: SklearnBaseline, estimator: Any, vectors: np.ndarray, labels: np.ndarray, probable: bool
) -> float:
    """The task's metric of a fitted estimator; NaN if there are no examples.

    Args:
      row: the baseline.
      estimator: a fitted estimator with `predict`.
      vectors: the inputs, `[N, D]`.
      labels: the labels of the data, none missing, `[N, ...]`.
      probable: whether the metric needs probabilities.

    Raises:
      BadInput: for predictions of another shape, or of classes outside the task.
    """
    if len(labels) == 0:
        return float("nan")
    outputs = row.task.num_outputs
    if probable:
        return value_of(row, outputs_of_probabilities(row, estimator, vectors), labels)
    said = np.asarray(estimator.predict(vectors))
    if row.target_type == "continuous":
        if said.size != len(labels) * outputs:
            rule = f"must predict [{len(labels)}, {outputs}] numbers"
            raise BadInput(f"{type(estimator).__name__} {rule}, not {list(said.shape)}")
        return value_of(row, said.reshape(len(labels), outputs).astype(np.float32), labels)
    classes = np.arange(max(outputs, 2))
    if said.shape != labels.shape or not np.isin(said, classes).all():
        alike = said.shape == labels.shape
        found = np.setdiff1d(said, classes)[:1].tolist() if alike else list(said.shape)
        rule = f"must predict [{len(labels)}] classes in 0..{classes[-1]}"
        raise BadInput(f"{type(estimator).__name__} {rule}, not {found}")
    return value_of(row, outputs_of_classes(said.astype(np.int32), outputs), labels)


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
    found = np.zeros((len(vectors), max(outputs, 2)))
    found[:, np.asarray(estimator.classes_, int)] = estimator.predict_proba(vectors)
    logs = np.log(np.maximum(found, np.finfo(np.float32).tiny)).astype(np.float32)
    return logs[:, 1:] - logs[:, :1] if outputs == 1 else logs


def value_of(row: SklearnBaseline, outputs: np.ndarray, labels: np.ndarray) -> float:
    """The task's metric of outputs `[N, C]` and labels `[N, ...]`, none of them missing.

    Raises:
      BadInput: if the metric does not accept them.
    """
    metric = row.task.metric
    mask = jnp.ones(len(labels), bool)
    try:
        sums = metric.from_model_output(
            jnp.asarray(outputs, jnp.float32), jnp.asarray(labels), mask
        )
        return float(metric.compute(sums))
    except (TypeError, ValueError) as wrong:
        raise BadInput(f"row {row.name!r}: metric of {row.task.name!r}: {wrong}") from wrong
