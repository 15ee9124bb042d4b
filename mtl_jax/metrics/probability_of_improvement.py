"""Probability that a run is better than another."""

import math

import numpy as np

from mtl_jax.metrics.samples import are_finite, as_samples


def probability_of_improvement(
    values: np.ndarray, baselines: np.ndarray, higher_is_better: bool = True
) -> float:
    """Fraction of the pairs of a value and a baseline in which the value is better; ties are half.

    `1 / (S R) sum_s sum_r ([v_s > b_r] + [v_s = b_r] / 2)`, which is the statistic of Mann and
    Whitney's U test over the number of pairs. Every value is compared with every baseline, also
    where they are paired by seed. Over several tasks, the mean of their probabilities is taken.

    Args:
      values: one value per seed, `[S]`.
      baselines: values `[R]` of the run that is to be improved on.
      higher_is_better: False compares `v_s < b_r`.

    Returns:
      The probability in [0, 1]; NaN if a value is not finite.

    Raises:
      BadInput: if `values` or `baselines` is empty or not 1-D.

    Reference: Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
      NeurIPS 2021, Section 4 (https://arxiv.org/abs/2108.13264).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> metrics.probability_of_improvement(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
      0.875
    """
    from scipy import stats  # Only tables need it.

    owner = "probability_of_improvement"
    values, baselines = as_samples(owner, values=values, baselines=baselines)
    if not are_finite(values, baselines):
        return math.nan
    better, worse = (values, baselines) if higher_is_better else (baselines, values)
    # Its p-value, which is not used, would otherwise be exact and slow.
    statistic = stats.mannwhitneyu(better, worse, method="asymptotic").statistic
    return float(statistic) / (values.size * baselines.size)
