"""MeanL2: pulls the parameters of all tasks towards their mean."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.stacked import require_tasks, stacked_trunks


@dataclasses.dataclass(frozen=True)
class MeanL2:
    """Penalty on the distance of the tasks' trunks from their mean.

    `weight * sum_t ||w_t - mean||^2` over all trunk parameters.

    Attributes:
      weight: coefficient of the sum.

    Raises:
      BadInput: for a negative weight; when called, if the tasks have no separate trunks.

    Reference: Evgeniou and Pontil, Regularized Multi-Task Learning, KDD 2004, Lemma 2.2
      (https://doi.org/10.1145/1014052.1014067).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * mean_l2(stacked_trunks(self, params))


def mean_l2(stacked: Tree) -> jax.Array:
    """Squared distance of K parameter vectors from their mean, `sum_t ||w_t - mean||^2`.

    Args:
      stacked: tree of leaves `[K, ...]`.

    Returns:
      A scalar `[]`; exactly 0, with zero gradient, if all tasks are equal.

    Raises:
      ValueError: if there is no leaf, or K differs between leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> float(sharing.mean_l2({"bias": jnp.array([[1.0], [3.0]])}))  # Two tasks.
      2.0
    """
    require_tasks(stacked)
    return sum_arrays(jnp.square(center(leaf)).sum() for leaf in jax.tree.leaves(stacked))


def center(leaf: jax.Array) -> jax.Array:
    """Differences `[K, ...]` from the mean.

    The first task is subtracted before the mean is taken: the mean of K equal numbers may be
    rounded, that of K zeros is exact.
    """
    relative = leaf - leaf[:1]
    return relative - relative.mean(0, keepdims=True)
