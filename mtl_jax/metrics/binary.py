"""Precision, recall and F1 of binary and multilabel targets."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.metric import Metric
from mtl_jax.core.target_types import TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.metrics.entries import label_entries
from mtl_jax.metrics.segmentation import mean_over, ratio

Average = Literal["macro", "micro"]


class ConfusionCounts(NamedTuple):
    """Confusion counts of the positive class, and the number of known entries.

    Of each label `[D]`, or of one class `[]`; int32, exact up to 2^31.
    """

    true_positives: jax.Array
    false_negatives: jax.Array
    false_positives: jax.Array
    entries: jax.Array


def confusion_counts(predicted: jax.Array, actual: jax.Array, known: jax.Array) -> ConfusionCounts:
    """Counts over the first axis: which entries are predicted positive, positive and known."""

    def count(entries):
        return (entries & known).sum(0, dtype=jnp.int32)

    return ConfusionCounts(
        true_positives=count(predicted & actual),
        false_negatives=count(~predicted & actual),
        false_positives=count(predicted & ~actual),
        entries=count(jnp.ones_like(known)),
    )


def label_counts(
    name: str, logits: jax.Array, labels: jax.Array, mask: jax.Array
) -> ConfusionCounts:
    """Counts of each label `[D]`; an output above 0 predicts the positive class.

    Args:
      name: metric, for the error.
      logits: `[B, ..., D]`.
      labels: 0 and 1, `[B, ..., D]`, or `[B, ...]` when D is 1; NaN or negative where missing.
      mask: the examples that count, bool `[B]`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.
    """
    logits, labels, known = label_entries(name, logits, labels, mask)
    return confusion_counts(logits > 0, labels > 0.5, known)


def as_floats(counts: ConfusionCounts) -> ConfusionCounts:
    """Counts as floats, for quotients."""
    return ConfusionCounts(*(jnp.asarray(each).astype(jnp.result_type(float)) for each in counts))


def precision(counts: ConfusionCounts) -> jax.Array:
    """`TP / (TP + FP)` of counts as floats; 0 if nothing is predicted positive."""
    return ratio(counts.true_positives, counts.true_positives + counts.false_positives)


def recall(counts: ConfusionCounts) -> jax.Array:
    """`TP / (TP + FN)` of counts as floats; 0 if nothing is positive."""
    return ratio(counts.true_positives, counts.true_positives + counts.false_negatives)


def f1(counts: ConfusionCounts) -> jax.Array:
    """`2 TP / (2 TP + FP + FN)` of counts as floats; 0 if the denominator is."""
    double = 2.0 * counts.true_positives
    return ratio(double, double + counts.false_positives + counts.false_negatives)


def average_score(
    score: Callable[[ConfusionCounts], jax.Array], counts: ConfusionCounts, average: Average
) -> jax.Array:
    """Mean of the labels' scores `[]`, or the score of their added counts; NaN without entries."""
    counts = as_floats(counts)
    if average == "micro":
        counts = ConfusionCounts(*(each.sum(keepdims=True) for each in counts))
    return mean_over(score(counts), counts.entries > 0)


@dataclasses.dataclass(frozen=True)
class LabelScore(Metric):
    """A score of the positive class of every label, and its average.

    Attributes:
      average: "macro" or "micro".
    """

    target_types: ClassVar[tuple[TargetType, ...]] = ("binary", "multilabel")
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    average: Average = "macro"

    def from_model_output(
        self, logits: jax.Array, labels: jax.Array, mask: jax.Array
    ) -> ConfusionCounts:
        """Maps logits `[B, ..., D]`, labels as in `label_counts`, mask `[B]` to counts."""
        return label_counts(self.name, logits, labels, mask)


@typechecked
@dataclasses.dataclass(frozen=True)
class Precision(LabelScore):
    """Fraction of the predicted positives that are positive, `TP / (TP + FP)`.

    An output above 0 predicts the positive class. The score is 0 if it predicts none.

    Attributes:
      average: "macro" for the mean of the labels' scores, where a label without known entries does
        not take part; "micro" for the score of the counts added over all labels. The same for
        binary targets.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.Precision(), jnp.array([[1.0], [1.0], [-1.0]])
      >>> sums = metric.from_model_output(logits, jnp.array([1, 0, 0]), jnp.ones(3, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    @property
    def name(self) -> str:
        """Name of the table column."""
        return "precision" if self.average == "macro" else "micro precision"

    def compute(self, sums: ConfusionCounts) -> jax.Array:
        """The score `[]`; NaN without examples."""
        return average_score(precision, sums, self.average)


@typechecked
@dataclasses.dataclass(frozen=True)
class Recall(LabelScore):
    """Fraction of the positives that are predicted as positive, `TP / (TP + FN)`.

    An output above 0 predicts the positive class. The score is 0 if there are no positives.

    Attributes:
      average: "macro" for the mean of the labels' scores, where a label without known entries does
        not take part; "micro" for the score of the counts added over all labels. The same for
        binary targets.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.Recall(), jnp.array([[1.0], [1.0], [-1.0]])
      >>> sums = metric.from_model_output(logits, jnp.array([1, 0, 0]), jnp.ones(3, bool))
      >>> float(metric.compute(sums))
      1.0
    """

    @property
    def name(self) -> str:
        """Name of the table column."""
        return "recall" if self.average == "macro" else "micro recall"

    def compute(self, sums: ConfusionCounts) -> jax.Array:
        """The score `[]`; NaN without examples."""
        return average_score(recall, sums, self.average)


@typechecked
@dataclasses.dataclass(frozen=True)
class F1(LabelScore):
    """Harmonic mean of precision and recall of the positive class, `2 TP / (2 TP + FP + FN)`.

    An output above 0 predicts the positive class. The score is 0 if there are neither positive
    targets nor positive predictions.

    Attributes:
      average: "macro" for the mean of the labels' scores, where a label without known entries does
        not take part; "micro" for the score of the counts added over all labels. The same for
        binary targets.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.F1(), jnp.array([[1.0], [1.0], [-1.0]])
      >>> sums = metric.from_model_output(logits, jnp.array([1, 0, 0]), jnp.ones(3, bool))
      >>> round(float(metric.compute(sums)), 3)
      0.667
    """

    @property
    def name(self) -> str:
        """Name of the table column."""
        return "f1" if self.average == "macro" else "micro F1"

    def compute(self, sums: ConfusionCounts) -> jax.Array:
        """The score `[]`; NaN without examples."""
        return average_score(f1, sums, self.average)
