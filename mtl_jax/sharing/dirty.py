"""Dirty: lets tasks share some parameters and have sparse task-specific ones."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.group_l1_inf import magnitudes
from mtl_jax.sharing.stacked import kernel_matrices, stacked_trunks


@dataclasses.dataclass(frozen=True)
class Dirty:
    """Penalty of the optimal split of parameters into a shared and a sparse part.

    `weight * min ||P||_1,inf + sparse * ||Q||_1` over `P + Q = W`, with
    `||P||_1,inf = sum_d max_t |p_td|` over all entries d of the trunks' kernels. The paper learns P
    and Q; the minimum over the split for given W is the same problem in W alone, and has a closed
    form (see `dirty`). Biases and normalization parameters are excluded.

    Attributes:
      weight: coefficient of the sum, the paper's lambda_b.
      sparse: lambda_s / lambda_b; both parts can be nonzero if it is between 1/K and 1. From 1 on
        this is `GroupL1Inf`, up to 1/K an L1 norm.

    Raises:
      BadInput: for a negative value; when called, if the tasks have no separate trunks.

    Reference: Jalali, Ravikumar, Sanghavi and Ruan, A Dirty Model for Multi-task Learning,
      NeurIPS 2010
      (https://papers.nips.cc/paper/4125-a-dirty-model-for-multi-task-learning).
    """

    weight: float
    sparse: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), sparse=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * dirty(stacked_trunks(self, params), self.sparse)


def dirty(stacked: Tree, sparse: float) -> jax.Array:
    """Minimum cost of a split, `min ||P||_1,inf + sparse ||Q||_1` over `P + Q = W`.

    The dual norm constraints are `sum_t |z_t| <= 1` and `max_t |z_t| <= sparse` in each column, and
    the minimum is the support function of their intersection: the largest magnitudes are charged
    `sparse` each until a budget of 1 is spent.

    Args:
      stacked: tree of leaves `[K, ...]`; only those with at least two more axes are included.
      sparse: cost of the task-specific part.

    Returns:
      A scalar `[]`. Tasks of equal magnitude have equal gradients; a zero entry has zero gradient.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> kernels = {"kernel": jnp.array([[[3.0, 0.0]], [[4.0, 1.0]]])}  # Two tasks, [K, F, C].
      >>> round(float(sharing.dirty(kernels, sparse=0.75)), 3)
      4.5
    """
    return sum_arrays(
        (unit_costs(jax.lax.stop_gradient(magnitudes(rows)), sparse) * magnitudes(rows)).sum()
        for rows in kernel_matrices(stacked)
    )


def unit_costs(size: jax.Array, sparse: float) -> jax.Array:
    """Unit cost of each entry, `[K, D]`, given their magnitudes `[K, D]`."""

    def total_cost(count):
        return jnp.minimum(1.0, count * sparse)

    larger = size[:, None] < size[None]
    equal = size[:, None] == size[None]
    num_larger = larger.sum(1, dtype=size.dtype)
    ties = equal.sum(1, dtype=size.dtype)
    # Ties share their joint cost. NaN equals nothing, and 0 / 0 keeps it NaN.
    return (total_cost(num_larger + ties) - total_cost(num_larger)) / ties
