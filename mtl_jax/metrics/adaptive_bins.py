"""Calibration error with bins of equal count."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from mtl_jax.core.metric import HostMetric
from mtl_jax.core.target_types import MULTICLASS, TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_int
from mtl_jax.metrics.host_entries import known_classes, mean_of


@typechecked
@dataclasses.dataclass(frozen=True)
class AdaptiveCalibrationError(HostMetric):
    """Difference of confidence and accuracy, averaged over bins with equally many examples.

    `sum_b n_b / n |acc_b - conf_b|` over bins of the sorted confidences, whose sizes n_b differ by
    at most 1. The adaptive ECE takes the confidence of the predicted class (Mukhoti et al.); the
    classwise error is the mean over all classes, each with its own probability as the confidence
    and its own bins (Nixon et al.). Examples with equal confidence count with their mean accuracy,
    so that their order does not matter.

    Reference: Mukhoti et al., NeurIPS 2020 (https://arxiv.org/abs/2002.09437), after Nguyen and
      O'Connor, EMNLP 2015 (https://arxiv.org/abs/1508.05154); the classwise error: Nixon et al.,
      CVPR workshops 2019 (https://arxiv.org/abs/1904.01685).

    Attributes:
      bins: number of bins, at least 1; fewer where there are fewer examples.
      classwise: whether every class counts, not only the predicted one.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> metrics.AdaptiveCalibrationError().compute(np.zeros((2, 2)), np.array([0, 0]))
      0.5
    """

    target_types: ClassVar[tuple[TargetType, ...]] = MULTICLASS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    bins: int = 15
    classwise: bool = False

    def __post_init__(self):
        require_int(self, bins=1)

    @property
    def name(self) -> str:
        """Name of the table column."""
        return "classwise ece" if self.classwise else "adaptive ece"

    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps finite logits `[N, ..., C]` and classes `[N, ...]` to the error.

        NaN without examples.
        """
        from scipy import special  # Slow to import.

        logits, classes = known_classes(self.name, outputs, labels)
        if len(classes) == 0:
            return float("nan")
        probabilities = special.softmax(logits, axis=-1)
        if not self.classwise:
            correct = logits.argmax(-1) == classes
            return calibration_gap(probabilities.max(-1), correct, self.bins)
        every = range(logits.shape[-1])
        return mean_of(
            [calibration_gap(probabilities[:, c], classes == c, self.bins) for c in every]
        )


def calibration_gap(confidence: np.ndarray, correct: np.ndarray, bins: int) -> float:
    """The error of confidences `[M]`, M at least 1, of predictions that are `correct` or not."""
    values, place, count = np.unique(confidence, return_inverse=True, return_counts=True)
    accuracy = np.bincount(place, correct) / count
    gaps = np.repeat(accuracy - values, count)
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, bins)) / len(gaps))
