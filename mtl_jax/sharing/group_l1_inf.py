"""GroupL1Inf: let the largest of all tasks pay for each parameter."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.proximal import prox_l1_inf
from mtl_jax.sharing.stacked import rows_of, shrunk, trunks_of


@dataclasses.dataclass(frozen=True)
class GroupL1Inf:
    """Penalty on the largest number that any task has of each parameter.

    `weight * sum_d max_t |w_td|` over all numbers d of the trunks' kernels: once one task uses a
    parameter, the others may use it as much for nothing. Biases and norms do not count.

    A gradient step only draws near zero; `prox_l1_inf` gets there.

    Attributes:
      weight: of the sum.

    Raises:
      BadInput: for a negative weight; when called, if there is no trunk of each task.

    Reference: Quattoni, Carreras, Collins and Darrell, An Efficient Projection for l1,infinity
      Regularization, ICML 2009 (https://doi.org/10.1145/1553374.1553484).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is not used."""
        return self.weight * group_l1_inf(trunks_of(self, params))

    def shrink(self, params: Tree, rate: jax.Array) -> Tree:
        """The proximal step with a learning rate `[]`, for `Run.proximal`."""
        return shrunk(self, params, lambda matrix: prox_l1_inf(matrix, rate * self.weight))


def group_l1_inf(stacked: Tree) -> jax.Array:
    """Sum of the largest sizes over tasks, `sum_d max_t |w_td|`.

    Args:
      stacked: tree of leaves `[K, ...]`; those with at least two more axes count.

    Returns:
      A scalar `[]`. Tasks that share the largest size share the gradient; where all have zero
      there is none. Both are the subgradient of least norm.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.
    """
    return sum(sizes(rows).max(0).sum() for rows in rows_of(stacked))


def sizes(rows: jax.Array) -> jax.Array:
    """Absolute values; zero has no gradient, where `jnp.abs` has one of 1."""
    return rows * jnp.sign(rows)
