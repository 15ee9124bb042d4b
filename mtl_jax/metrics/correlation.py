"""Metrics of whether predicted numbers have the order of the targets."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from mtl_jax.core.metric import HostMetric
from mtl_jax.core.target_types import CONTINUOUS, TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.metrics.host_entries import Column, mean_of, number_columns


@typechecked
@dataclasses.dataclass(frozen=True)
class Spearman(HostMetric):
    """Spearman's rank correlation of predictions and targets, in [-1, 1]; mean over the outputs.

    The Pearson correlation of the ranks, where ties share their mean rank. An output whose known
    targets are all equal does not take part; predictions that are all equal have correlation 0,
    where SciPy has NaN.

    Reference: Spearman, The American Journal of Psychology 1904
      (https://doi.org/10.2307/1412159).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> predictions, targets = np.array([[1.0], [2.0], [9.0]]), np.array([[0.1], [0.3], [0.2]])
      >>> round(metrics.Spearman().compute(predictions, targets), 3)
      0.5
    """

    name: ClassVar[str] = "spearman"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 1.0

    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps finite predictions and targets `[N, ..., D]` to the correlation.

        NaN if no output has two different targets.
        """
        columns = varied_columns(self.name, outputs, labels)
        return mean_of([rank_correlation(*column) for column in columns])


@typechecked
@dataclasses.dataclass(frozen=True)
class Concordance(HostMetric):
    """Fraction of the pairs with different targets that are predicted in their order; C-index.

    Pairs with equal predictions count half. Of binary targets it is the area under the ROC curve.
    The mean over the outputs; an output whose known targets are all equal does not take part.
    Targets are not censored. From Kendall's tau, in O(N log N).

    Reference: Harrell et al., JAMA 1982 (https://doi.org/10.1001/jama.1982.03320430047030).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> predictions, targets = np.array([[1.0], [2.0], [9.0]]), np.array([[0.1], [0.3], [0.2]])
      >>> round(metrics.Concordance().compute(predictions, targets), 3)
      0.667
    """

    name: ClassVar[str] = "concordance"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0

    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps finite predictions and targets `[N, ..., D]` to the fraction.

        NaN if no output has two different targets.
        """
        columns = varied_columns(self.name, outputs, labels)
        return mean_of([concordance_index(*column) for column in columns])


def varied_columns(name: str, predictions: Any, targets: np.ndarray) -> list[Column]:
    """The outputs whose known targets are not all equal."""
    columns = number_columns(name, predictions, targets)
    return [column for column in columns if len(column.labels) and np.ptp(column.labels) > 0]


def rank_correlation(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Spearman's correlation of `[M]` each; 0 if the predictions are all equal."""
    from scipy import stats  # Slow to import.

    if np.ptp(predictions) == 0:
        return 0.0
    return stats.spearmanr(predictions, targets).statistic


def concordance_index(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The C-index of `[M]` each; 1/2 if the predictions are all equal.

    `(1 + (P - Q) / t) / 2` with P concordant pairs, Q discordant ones and t pairs of different
    targets, and `P - Q = tau_b sqrt(t f)` with f pairs of different predictions.
    """
    from scipy import stats  # Slow to import.

    if np.ptp(predictions) == 0:
        return 0.5
    tau = stats.kendalltau(predictions, targets, method="asymptotic").statistic
    return (1.0 + tau * np.sqrt(num_different(predictions) / num_different(targets))) / 2.0


def num_different(values: np.ndarray) -> float:
    """Number of pairs of different values `[M]`."""
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return (np.square(counts.sum()) - np.square(counts).sum()) / 2.0
