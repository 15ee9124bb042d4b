"""What a row of another estimator predicts, as outputs that the task's metric judges."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.core.validation import BadInput


def judged(
    row: Classic, estimator: Any, vectors: np.ndarray, labels: np.ndarray, probable: bool
) -> float:
    """The task's metric of an estimator that is fitted; NaN where there is no example.

    Args:
      row: whose task it is.
      estimator: with `predict`.
      vectors: `[N, D]`.
      labels: as the data has them, none missing, `[N, ...]`.
      probable: whether the metric sees probabilities.

    Raises:
      BadInput: for predictions of another shape, or of classes that the task has not.
    """
    if len(labels) == 0:
        return float("nan")
    outputs = row.task.outputs
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
        found = np.setdiff1d(said, classes)[:1] if said.shape == labels.shape else said.shape
        rule = f"must predict [{len(labels)}] classes in 0..{classes[-1]}"
        raise BadInput(f"{type(estimator).__name__} {rule}, not {found.tolist()}")
    return value_of(row, outputs_of_classes(said.astype(np.int32), outputs), labels)


def outputs_of_classes(classes: np.ndarray, outputs: int) -> np.ndarray:
    """Outputs `[N, C]` that decide for classes `[N]`: 1 and 0, or of one output 1 and -1."""
    if outputs == 1:
        return np.where(classes[:, None] == 1, 1.0, -1.0).astype(np.float32)
    return (classes[:, None] == np.arange(outputs)).astype(np.float32)


def outputs_of_probabilities(row: Classic, estimator: Any, vectors: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities `[N, C]`, or of one output the difference of the two.

    A probability of 0 counts as the least that float32 has.
    """
    outputs = row.task.outputs
    found = np.zeros((len(vectors), max(outputs, 2)))
    found[:, np.asarray(estimator.classes_, int)] = estimator.predict_proba(vectors)
    logs = np.log(np.maximum(found, np.finfo(np.float32).tiny)).astype(np.float32)
    return logs[:, 1:] - logs[:, :1] if outputs == 1 else logs


def value_of(row: Classic, outputs: np.ndarray, labels: np.ndarray) -> float:
    """The task's metric of outputs `[N, C]` and labels `[N, ...]`, none of them missing.

    Raises:
      BadInput: if the metric does not fit them.
    """
    metric = row.task.metric
    mask = jnp.ones(len(labels), bool)
    try:
        sums = metric.sums(jnp.asarray(outputs, jnp.float32), jnp.asarray(labels), mask)
        return float(metric.compute(sums))
    except (TypeError, ValueError) as wrong:
        raise BadInput(f"row {row.name!r}: metric of {row.task.name!r}: {wrong}") from wrong
