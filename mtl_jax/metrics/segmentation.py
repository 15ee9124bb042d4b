"""Metrics from the confusion matrix: of classes, of examples or pixels."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.metric import Metric
from mtl_jax.core.target_types import MULTICLASS, TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.metrics.entries import class_entries


def confusion_matrix(name: str, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Counts of each true class (rows) and predicted class (columns), int32 `[C, C]`.

    Exact up to 2^31 entries. A label of at least C is counted nowhere.

    Args:
      name: metric, for the error.
      logits: `[B, ..., C]`.
      labels: classes `[B, ...]`, negative where missing.
      mask: the examples that count, bool `[B]`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.
    """
    logits, labels, known = class_entries(name, logits, labels, mask)
    size = logits.shape[-1]
    known = known & (labels < size)
    cells = jnp.where(known, labels * size + logits.argmax(-1).astype(jnp.int32), 0)
    counts = jnp.zeros(size * size, jnp.int32).at[cells].add(known.astype(jnp.int32))
    return counts.reshape(size, size)


def mean_over(values: jax.Array, valid: jax.Array) -> jax.Array:
    """Mean of the valid values `[C]`; NaN if there are none."""
    return jnp.divide(jnp.where(valid, values, 0.0).sum(), valid.sum(dtype=values.dtype))


def ratio(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Quotient of counts; 0 where the denominator is 0."""
    return numerator / jnp.maximum(denominator, 1.0)


class ClassCounts(NamedTuple):
    """Numbers of entries by class, as floats `[C]`, for quotients."""

    correct: jax.Array
    true: jax.Array
    predicted: jax.Array


def class_counts(confusion: jax.Array) -> ClassCounts:
    """Counts by class of a confusion matrix `[C, C]`."""
    confusion = confusion.astype(jnp.result_type(float))
    return ClassCounts(jnp.diagonal(confusion), confusion.sum(1), confusion.sum(0))


class ConfusionMetric(Metric):
    """A metric from the confusion matrix."""

    target_types: ClassVar[tuple[TargetType, ...]] = MULTICLASS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps logits `[B, ..., C]`, classes `[B, ...]`, mask `[B]` to counts `[C, C]`."""
        return confusion_matrix(self.name, logits, labels, mask)


@typechecked
@dataclasses.dataclass(frozen=True)
class MeanIoU(ConfusionMetric):
    """Intersection over union of the predicted and the true entries of a class, its mean.

    `IoU_c = TP_c / (TP_c + FP_c + FN_c)`, from counts over all examples. A class that is neither
    true nor predicted does not take part; LibMTL's mean is then NaN, scikit-learn's and UniMatch's
    count it as 0.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.MeanIoU(), jnp.eye(3)[jnp.array([[0, 0, 1, 1]])]
      >>> sums = metric.from_model_output(logits, jnp.array([[0, 1, 1, -1]]), jnp.ones(1, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    name: ClassVar[str] = "mIoU"

    def compute(self, sums: jax.Array) -> jax.Array:
        """The mean over the classes `[]`; NaN without examples."""
        correct, true, predicted = class_counts(sums)
        union = true + predicted - correct
        return mean_over(ratio(correct, union), union > 0)


@typechecked
@dataclasses.dataclass(frozen=True)
class FrequencyWeightedIoU(ConfusionMetric):
    """Intersection over union of the classes, weighted by the number of their true entries.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.FrequencyWeightedIoU(), jnp.eye(2)[jnp.array([0, 0, 1])]
      >>> sums = metric.from_model_output(logits, jnp.array([0, 1, 1]), jnp.ones(3, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    name: ClassVar[str] = "fwIoU"

    def compute(self, sums: jax.Array) -> jax.Array:
        """The weighted mean `[]`; NaN without examples."""
        correct, true, predicted = class_counts(sums)
        scores = ratio(correct, true + predicted - correct)
        return jnp.divide((true * scores).sum(), true.sum())


@typechecked
@dataclasses.dataclass(frozen=True)
class BalancedAccuracy(ConfusionMetric):
    """Recall of each class, its mean over the classes that are true somewhere.

    For segmentation, the mean pixel accuracy of the classes. As `balanced_accuracy_score` of
    scikit-learn.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.BalancedAccuracy(), jnp.eye(2)[jnp.array([0, 0, 0, 1])]
      >>> sums = metric.from_model_output(logits, jnp.array([0, 0, 1, 1]), jnp.ones(4, bool))
      >>> float(metric.compute(sums))
      0.75
    """

    name: ClassVar[str] = "balanced accuracy"

    def compute(self, sums: jax.Array) -> jax.Array:
        """The mean recall `[]`; NaN without examples."""
        correct, true, _ = class_counts(sums)
        return mean_over(ratio(correct, true), true > 0)


@typechecked
@dataclasses.dataclass(frozen=True)
class MacroF1(ConfusionMetric):
    """F1 of each class against all others, its mean over the classes that are true or predicted.

    As `f1_score(average="macro")` of scikit-learn. For binary and multilabel targets: `F1`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.MacroF1(), jnp.eye(3)[jnp.array([0, 0, 1])]
      >>> sums = metric.from_model_output(logits, jnp.array([0, 1, 1]), jnp.ones(3, bool))
      >>> round(float(metric.compute(sums)), 4)
      0.6667
    """

    name: ClassVar[str] = "macro F1"

    def compute(self, sums: jax.Array) -> jax.Array:
        """The mean of the classes' scores `[]`; NaN without examples."""
        correct, true, predicted = class_counts(sums)
        total = true + predicted
        return mean_over(ratio(2.0 * correct, total), total > 0)


@typechecked
@dataclasses.dataclass(frozen=True)
class MacroPrecision(ConfusionMetric):
    """Precision of each class, its mean over the classes that are true or predicted.

    A class that is never predicted counts 0. As `precision_score(average="macro")` of
    scikit-learn, whose macro recall is `BalancedAccuracy` where every predicted class is also
    true somewhere. For binary and multilabel targets: `Precision`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.MacroPrecision(), jnp.eye(3)[jnp.array([0, 0, 1])]
      >>> sums = metric.from_model_output(logits, jnp.array([0, 1, 1]), jnp.ones(3, bool))
      >>> float(metric.compute(sums))
      0.75
    """

    name: ClassVar[str] = "macro precision"

    def compute(self, sums: jax.Array) -> jax.Array:
        """The mean precision `[]`; NaN without examples."""
        correct, true, predicted = class_counts(sums)
        return mean_over(ratio(correct, predicted), true + predicted > 0)
