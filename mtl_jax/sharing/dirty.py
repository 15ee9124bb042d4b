"""Dirty: let tasks share some parameters and have a few of their own."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.group_l1_inf import sizes
from mtl_jax.sharing.stacked import rows_of, trunks_of


@dataclasses.dataclass(frozen=True)
class Dirty:
    """Penalty of the best split of parameters in a shared and a sparse part.

    `weight * min ||P||_1,inf + sparse * ||Q||_1` over `P + Q = W`, with
    `||P||_1,inf = sum_d max_t |p_td|` over all numbers d of the trunks' kernels. The paper
    learns P and Q; the minimum over the split given W is the same problem in W alone, and has
    a closed form (see `dirty`). Biases and norms do not count.

    Attributes:
      weight: of the sum, the paper's lambda_b.
      sparse: lambda_s / lambda_b; both parts live if it is between 1/K and 1. From 1 on this is
        `GroupL1Inf`, up to 1/K an L1 norm.

    Raises:
      BadInput: for a negative value; when called, if there is no trunk of each task.

    Reference: Jalali, Ravikumar, Sanghavi and Ruan, A Dirty Model for Multi-task Learning,
      NeurIPS 2010
      (https://papers.nips.cc/paper/4125-a-dirty-model-for-multi-task-learning).
    """

    weight: float
    sparse: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), sparse=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is not used."""
        return self.weight * dirty(trunks_of(self, params), self.sparse)


def dirty(stacked: Tree, sparse: float) -> jax.Array:
    """Least cost of a split, `min ||P||_1,inf + sparse ||Q||_1` over `P + Q = W`.

    The norms are dual to `sum_t |z_t| <= 1` and `max_t |z_t| <= sparse` in each column, and the
    minimum is the support function of both together: the largest sizes are paid at `sparse` each
    until 1 is spent.

    Args:
      stacked: tree of leaves `[K, ...]`; those with at least two more axes count.
      sparse: price of the part that is each task's own.

    Returns:
      A scalar `[]`. Tasks of equal size have equal gradients; a zero has none.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.
    """
    return sum(
        (prices(jax.lax.stop_gradient(sizes(rows)), sparse) * sizes(rows)).sum()
        for rows in rows_of(stacked)
    )


def prices(size: jax.Array, sparse: float) -> jax.Array:
    """What a unit of each number costs, `[K, D]`, given their sizes `[K, D]`."""

    def spent(count):
        return jnp.minimum(1.0, count * sparse)

    larger = size[:, None] < size[None]
    equal = size[:, None] == size[None]
    before = larger.sum(1, dtype=size.dtype)
    ties = equal.sum(1, dtype=size.dtype)
    # Ties share what they are charged together. A NaN equals nothing, and 0 / 0 keeps it NaN.
    return (spent(before + ties) - spent(before)) / ties
