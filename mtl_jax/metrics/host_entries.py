"""Outputs and labels on the host as flat float64 entries, without those that are missing."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class KnownClasses(NamedTuple):
    """Logits and classes of the M entries whose class is known."""

    logits: np.ndarray  # [M, C]
    classes: np.ndarray  # [M], int64


class Column(NamedTuple):
    """One output and its label for the entries, at most M, where this label is known."""

    outputs: np.ndarray  # [M], float64
    labels: np.ndarray  # [M], float64


def known_classes(name: str, logits: np.ndarray, labels: np.ndarray) -> KnownClasses:
    """Flattens logits `[N, ..., C]` and classes `[N, ...]`, negative where missing.

    Raises:
      ValueError: naming the metric, if shapes or dtypes do not match.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    if labels.shape != logits.shape[:-1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name} needs logits [N, ..., C] and integer labels [N, ...], not {logits.shape} and "
            f"{labels.dtype}{labels.shape}"
        )
    known = labels >= 0
    return KnownClasses(logits[known].astype(np.float64), labels[known].astype(np.int64))


def number_columns(name: str, predictions: np.ndarray, targets: np.ndarray) -> list[Column]:
    """One column for each output of predictions and targets `[N, ..., D]`.

    Targets may be `[N, ...]` when D is 1; NaN is a missing one.

    Raises:
      ValueError: naming the metric, if shapes do not match.
    """
    predictions, targets = np.asarray(predictions), np.asarray(targets)
    if predictions.shape[-1:] == (1,) and targets.shape == predictions.shape[:-1]:
        targets = targets[..., None]
    if predictions.ndim < 2 or targets.shape != predictions.shape:
        raise ValueError(
            f"{name} needs outputs and labels [N, ..., D], or labels [N, ...] when D is 1, not "
            f"{predictions.shape} and {targets.shape}"
        )
    outputs, labels = (
        each.reshape(-1, each.shape[-1]).astype(np.float64) for each in (predictions, targets)
    )
    known = ~np.isnan(labels)
    return [Column(f[k], y[k]) for f, y, k in zip(outputs.T, labels.T, known.T, strict=True)]


def mean_of(scores: Sequence[float]) -> float:
    """The mean of scores; NaN if there are none."""
    return float(np.mean(scores)) if len(scores) else float("nan")
