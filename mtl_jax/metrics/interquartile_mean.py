"""Interquartile mean of the results of several runs."""

import math

import numpy as np

from mtl_jax.metrics.samples import are_finite, as_samples


def interquartile_mean(values: np.ndarray) -> float:
    """Mean of the middle half of the values, which outliers do not change.

    `floor(S / 4)` values are left out at each end, so that it is the mean for fewer than four.
    Several tasks are pooled: the values of all their runs are given together.

    Args:
      values: one value per run, `[S]`.

    Returns:
      The mean; NaN if a value is not finite.

    Raises:
      BadInput: if `values` is empty or not 1-D.

    Reference: Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
      NeurIPS 2021, Section 4 (https://arxiv.org/abs/2108.13264).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> metrics.interquartile_mean(np.array([1.0, 2.0, 4.0, 99.0]))
      3.0
    """
    from scipy import stats  # Only tables need it.

    (values,) = as_samples("interquartile_mean", values=values)
    if not are_finite(values):  # Trimmed, NaN would not be seen.
        return math.nan
    return float(stats.trim_mean(values, 0.25))
