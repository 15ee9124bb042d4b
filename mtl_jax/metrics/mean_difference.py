"""Difference of the means of two runs, with its interval and test by Student's t."""

import math
import warnings
from typing import NamedTuple

import numpy as np

from mtl_jax.core.validation import require
from mtl_jax.metrics.comparison import confidence_interval, p_value
from mtl_jax.metrics.samples import are_finite, as_samples, is_constant


class MeanDifference(NamedTuple):
    """A difference of means, the half-width of its interval, and the p-value that it is 0."""

    mean: float
    half_width: float
    p_value: float


def mean_difference(
    values: np.ndarray, baselines: np.ndarray, paired: bool, confidence: float = 0.95
) -> MeanDifference:
    """Difference of the mean of `values` from that of `baselines`, with Student's t interval.

    Paired, of the differences by seed; unpaired, by Welch's test, which does not take the
    variances for equal. The p-value, two-sided, is below `1 - confidence` iff the interval
    excludes 0.

    Degenerate values: a single value in a sample, or one that is not finite, has neither interval
    nor p-value (NaN). Without any variation the interval has no width, and the p-value is 0, or 1
    if the means are equal.

    Args:
      values: one value per seed, `[S]`.
      baselines: values `[R]` of the other run; paired, `[S]` of the same seeds.
      paired: whether the values are of the same seeds.
      confidence: level of the two-sided interval.

    Raises:
      BadInput: if a sample is empty or not 1-D, `confidence` is outside (0, 1), or paired samples
        have different sizes.

    Reference: Welch, The Generalization of "Student's" Problem When Several Different Population
      Variances Are Involved, Biometrika 1947 (https://doi.org/10.1093/biomet/34.1-2.28).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> values, baselines = np.array([3.0, 5.0, 6.0]), np.array([2.0, 3.0, 5.0])
      >>> paired = metrics.mean_difference(values, baselines, paired=True)
      >>> round(paired.mean, 2), round(paired.half_width, 2), round(paired.p_value, 3)
      (1.33, 1.43, 0.057)
      >>> round(metrics.mean_difference(values, baselines, paired=False).p_value, 3)
      0.345
    """
    from scipy import stats  # Only tables need it.

    values, baselines = as_samples("mean_difference", values=values, baselines=baselines)
    inside = 0.0 < confidence < 1.0
    require(inside, "mean_difference", "confidence", "must lie in (0, 1)", confidence)
    if not are_finite(values, baselines):
        return MeanDifference(math.nan, math.nan, math.nan)
    if paired:
        rule = f"must be of the {values.size} seeds of the values"
        require(values.size == baselines.size, "mean_difference", "baselines", rule, baselines.size)
        gains = values - baselines
        return MeanDifference(*confidence_interval(gains, confidence), p_value(gains))
    mean = float(values.mean() - baselines.mean())
    if min(values.size, baselines.size) < 2:
        return MeanDifference(mean, math.nan, math.nan)
    if is_constant(values) and is_constant(baselines):
        return MeanDifference(mean, 0.0, 1.0 if mean == 0.0 else 0.0)
    with warnings.catch_warnings():  # Of a sample without variation.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        found = stats.ttest_ind(values, baselines, equal_var=False)
    low, high = found.confidence_interval(confidence)
    return MeanDifference(mean, float(high - low) / 2.0, float(found.pvalue))
