"""Constant weights that cover the simplex, to tune the weighted sum of the losses."""

import numpy as np

from mtl_jax.core.validation import require
from mtl_jax.weighting.constant import Constant


def simplex_weights(num_tasks: int, count: int, seed: int = 0) -> tuple[Constant, ...]:
    """Weighted sums of the losses for `Tuned`, with weights `w >= 0`, `sum_i w_i = K`.

    For two tasks, `w_1 = 2 j / (count + 1)` for j from 1 to `count`; for more, the first weights
    are equal and the others drawn uniformly from the simplex. Weights have three digits.

    Args:
      num_tasks: number of tasks K, at least 2.
      count: number of weightings.
      seed: seed of the draws.

    Returns:
      The weightings, all different.

    Raises:
      BadInput: for fewer than two tasks, or no weighting.

    Reference: Xin et al., Do Current Multi-Task Optimization Methods in Deep Learning Even
      Help?, NeurIPS 2022, Section 3: scalarization with tuned weights is as good as the
      multi-task optimizers there (https://arxiv.org/abs/2209.11379).

    Example:
      >>> from mtl_jax import weighting
      >>> [method.weights for method in weighting.simplex_weights(2, 3)]
      [(0.5, 1.5), (1.0, 1.0), (1.5, 0.5)]
    """
    require(num_tasks > 1, "simplex_weights", "num_tasks", "must be at least 2", num_tasks)
    require(count > 0, "simplex_weights", "count", "must be at least 1", count)
    if num_tasks == 2:
        first = 2 * np.arange(1, count + 1) / (count + 1)
        found = np.stack([first, 2 - first], 1)
    else:
        drawn = np.random.default_rng(seed).dirichlet(np.ones(num_tasks), count - 1)
        found = np.concatenate([np.ones((1, num_tasks)), num_tasks * drawn])
    return tuple(Constant(tuple(row)) for row in found.round(3).tolist())
