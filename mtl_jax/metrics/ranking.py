"""Areas under the curves of a binary score over all its thresholds."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from mtl_jax.core.metric import HostMetric
from mtl_jax.core.target_types import TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.metrics.host_entries import Column, known_classes, mean_of, number_columns


@typechecked
@dataclasses.dataclass(frozen=True)
class AUROC(HostMetric):
    """Area under the ROC curve: how probably a positive scores above a negative; ties are half.

    Of several labels, the mean over those with positives and negatives among their known entries;
    of classes, the mean over each against all others by its probability. As `roc_auc_score` of
    scikit-learn with `average="macro"` and `multi_class="ovr"`.

    Reference: Fawcett, Pattern Recognition Letters 2006, section 7
      (https://doi.org/10.1016/j.patrec.2005.10.010).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> outputs, labels = np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([0, 0, 1, 1])
      >>> metrics.AUROC().compute(outputs, labels)
      0.75
    """

    name: ClassVar[str] = "auroc"
    target_types: ClassVar[tuple[TargetType, ...]] = ("multiclass", "binary", "multilabel")
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0

    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps finite outputs and labels, as in `binary_columns`, to the area.

        NaN if no label has both positives and negatives.
        """
        from sklearn.metrics import roc_auc_score  # Slow to import.

        columns = binary_columns(self.name, outputs, labels)
        return mean_of([roc_auc_score(column.labels, column.outputs) for column in columns])


@typechecked
@dataclasses.dataclass(frozen=True)
class AveragePrecision(HostMetric):
    """Precision averaged over the positives, `sum_n (R_n - R_(n-1)) P_n` over the thresholds.

    The area under the precision-recall curve without interpolation. Of several labels, the mean
    over those with positives and negatives among their known entries; of classes, the mean over
    each against all others by its probability. As `average_precision_score` of scikit-learn.

    Reference: Manning et al., Introduction to Information Retrieval, Cambridge University Press
      2008, section 8.4 (https://nlp.stanford.edu/IR-book/).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> outputs, labels = np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([0, 0, 1, 1])
      >>> round(metrics.AveragePrecision().compute(outputs, labels), 4)
      0.8333
    """

    name: ClassVar[str] = "average precision"
    target_types: ClassVar[tuple[TargetType, ...]] = ("multiclass", "binary", "multilabel")
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0

    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps finite outputs and labels, as in `binary_columns`, to the average precision.

        NaN if no label has both positives and negatives.
        """
        from sklearn.metrics import average_precision_score  # Slow to import.

        columns = binary_columns(self.name, outputs, labels)
        return mean_of(
            [average_precision_score(column.labels, column.outputs) for column in columns]
        )


def binary_columns(name: str, outputs: Any, labels: np.ndarray) -> list[Column]:
    """Scores and labels 0 or 1 of each label, or class, that has both among its known entries.

    Args:
      name: metric, for the error.
      outputs: `[N, ..., C]`.
      labels: binary labels `[N, ..., C]`, or `[N, ...]` when C is 1, NaN or negative where
        missing; or classes `[N, ...]`, integers, negative where missing. A class is a label
        against all others, with its probability as the score.

    Raises:
      ValueError: if shapes or dtypes do not match.
    """
    outputs, labels = np.asarray(outputs), np.asarray(labels)
    if outputs.ndim == labels.ndim + 1 and outputs.shape[-1] > 1:
        columns = class_columns(name, outputs, labels)
    else:
        columns = number_columns(name, outputs, labels)
        known = [column.labels >= 0 for column in columns]
        columns = [Column(f[k], y[k]) for (f, y), k in zip(columns, known, strict=True)]
    return [column for column in columns if column.labels.any() and not column.labels.all()]


def class_columns(name: str, logits: np.ndarray, labels: np.ndarray) -> list[Column]:
    """Probabilities of each class, and whether it is the true one."""
    from scipy import special  # Slow to import.

    logits, classes = known_classes(name, logits, labels)
    scores = special.softmax(logits, axis=-1)
    true = classes[:, None] == np.arange(logits.shape[-1])
    return [Column(f, y) for f, y in zip(scores.T, true.T.astype(np.float64), strict=True)]
