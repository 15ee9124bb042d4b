"""Scores of one class against all others."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from mtl_jax.core.metric import Metric
from mtl_jax.core.target_types import MULTICLASS, TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_int
from mtl_jax.metrics.binary import (
    ConfusionCounts,
    as_floats,
    confusion_counts,
    f1,
    precision,
    recall,
)
from mtl_jax.metrics.entries import class_entries
from mtl_jax.metrics.segmentation import ratio


@dataclasses.dataclass(frozen=True)
class ClassScore(Metric):
    """A score of one class from its counts as the positive class.

    Attributes:
      index: the class, at least 0.

    Raises:
      BadInput: for a negative index and, at trace time, for a class beyond the outputs.
    """

    target_types: ClassVar[tuple[TargetType, ...]] = MULTICLASS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    score: ClassVar[str]
    index: int

    def __post_init__(self):
        require_int(self, index=0)

    @property
    def name(self) -> str:
        """Name of the table column."""
        return f"{self.score} of class {self.index}"

    def from_model_output(
        self, logits: jax.Array, labels: jax.Array, mask: jax.Array
    ) -> ConfusionCounts:
        """Maps logits `[B, ..., C]`, classes `[B, ...]` and a mask `[B]` to counts, `[]` each."""
        logits, labels, known = class_entries(self.name, logits, labels, mask)
        size = logits.shape[-1]
        require(self.index < size, self, "index", f"must be one of {size} classes", self.index)
        predicted = logits.argmax(-1).astype(jnp.int32)
        known = known & (labels < size)
        return confusion_counts(predicted == self.index, labels == self.index, known)


@typechecked
@dataclasses.dataclass(frozen=True)
class ClassPrecision(ClassScore):
    """Fraction of the entries predicted as a class that are of it, `TP / (TP + FP)`.

    0 if the class is true but never predicted, NaN if neither; its mean over the classes that are
    not NaN is `MacroPrecision`.

    Attributes:
      index: the class, at least 0.

    Raises:
      BadInput: for a negative index and, at trace time, for a class beyond the outputs.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.ClassPrecision(1), jnp.eye(3)[jnp.array([1, 1, 2])]
      >>> sums = metric.from_model_output(logits, jnp.array([0, 1, 1]), jnp.ones(3, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    score: ClassVar[str] = "precision"

    def compute(self, sums: ConfusionCounts) -> jax.Array:
        """The precision `[]`; NaN if the class neither is nor is predicted."""
        counts = as_floats(sums)
        return jnp.where(occurs(counts), precision(counts), jnp.nan)


@typechecked
@dataclasses.dataclass(frozen=True)
class ClassRecall(ClassScore):
    """Fraction of the entries of a class that are predicted as such, `TP / (TP + FN)`.

    The accuracy of the class. Its mean over the classes that are true somewhere is
    `BalancedAccuracy`.

    Attributes:
      index: the class, at least 0.

    Raises:
      BadInput: for a negative index and, at trace time, for a class beyond the outputs.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.ClassRecall(1), jnp.eye(3)[jnp.array([1, 1, 2])]
      >>> sums = metric.from_model_output(logits, jnp.array([0, 1, 1]), jnp.ones(3, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    score: ClassVar[str] = "recall"

    def compute(self, sums: ConfusionCounts) -> jax.Array:
        """The recall `[]`; NaN if there is no entry of the class."""
        counts = as_floats(sums)
        actual = counts.true_positives + counts.false_negatives
        return jnp.where(actual > 0, recall(counts), jnp.nan)


@typechecked
@dataclasses.dataclass(frozen=True)
class ClassF1(ClassScore):
    """F1 of a class against all others, `2 TP / (2 TP + FP + FN)`.

    Its mean over the classes that are not NaN is `MacroF1`.

    Attributes:
      index: the class, at least 0.

    Raises:
      BadInput: for a negative index and, at trace time, for a class beyond the outputs.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.ClassF1(1), jnp.eye(3)[jnp.array([1, 1, 2])]
      >>> sums = metric.from_model_output(logits, jnp.array([0, 1, 1]), jnp.ones(3, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    score: ClassVar[str] = "F1"

    def compute(self, sums: ConfusionCounts) -> jax.Array:
        """The F1 score `[]`; NaN if the class neither is nor is predicted."""
        counts = as_floats(sums)
        return jnp.where(occurs(counts), f1(counts), jnp.nan)


@typechecked
@dataclasses.dataclass(frozen=True)
class ClassIoU(ClassScore):
    """Intersection over union of the predicted and the true entries, `TP / (TP + FP + FN)`.

    Its mean over the classes that are not NaN is `MeanIoU`.

    Attributes:
      index: the class, at least 0.

    Raises:
      BadInput: for a negative index and, at trace time, for a class beyond the outputs.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.ClassIoU(1), jnp.eye(3)[jnp.array([1, 1, 2])]
      >>> sums = metric.from_model_output(logits, jnp.array([0, 1, 1]), jnp.ones(3, bool))
      >>> round(float(metric.compute(sums)), 3)
      0.333
    """

    score: ClassVar[str] = "IoU"

    def compute(self, sums: ConfusionCounts) -> jax.Array:
        """The intersection over union `[]`; NaN if the class neither is nor is predicted."""
        counts = as_floats(sums)
        return jnp.where(occurs(counts), ratio(counts.true_positives, union(counts)), jnp.nan)


def union(counts: ConfusionCounts) -> jax.Array:
    """Number of entries that are of the class or predicted as such."""
    return counts.true_positives + counts.false_positives + counts.false_negatives


def occurs(counts: ConfusionCounts) -> jax.Array:
    """Whether the class is true or predicted somewhere."""
    return union(counts) > 0
