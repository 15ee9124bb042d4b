"""GroupL21: let all tasks use the same few parameters."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.proximal import prox_l21
from mtl_jax.sharing.stacked import rows_of, shrunk, trunks_of


@dataclasses.dataclass(frozen=True)
class GroupL21:
    """Penalty on the length of what all tasks have of each parameter.

    `weight * sum_d ||(w_1d, ..., w_Kd)||_2` over all numbers d of the trunks' kernels: a
    parameter goes to zero in all tasks or in none. Biases and norms do not count.

    A gradient step only draws near zero; `prox_l21` gets there.

    Attributes:
      weight: of the sum.

    Raises:
      BadInput: for a negative weight; when called, if there is no trunk of each task.

    Reference: Liu, Ji and Ye, Multi-Task Feature Learning Via Efficient l2,1-Norm Minimization,
      UAI 2009 (https://arxiv.org/abs/1205.2631).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is not used."""
        return self.weight * group_l21(trunks_of(self, params))

    def shrink(self, params: Tree, rate: jax.Array) -> Tree:
        """The proximal step with a learning rate `[]`, for `Run.proximal`."""
        return shrunk(self, params, lambda matrix: prox_l21(matrix, rate * self.weight))


def group_l21(stacked: Tree) -> jax.Array:
    """Sum of the lengths over tasks, `sum_d ||(w_1d, ..., w_Kd)||_2`.

    Args:
      stacked: tree of leaves `[K, ...]`; those with at least two more axes count.

    Returns:
      A scalar `[]`; where all tasks have zero there is no gradient.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.
    """
    return sum(lengths(rows).sum() for rows in rows_of(stacked))


def lengths(rows: jax.Array) -> jax.Array:
    """Lengths `[D]` of the columns of `[K, D]`, with a gradient that is finite everywhere."""
    # Squares would underflow or overflow; the lengths do not depend on the unit.
    largest = jax.lax.stop_gradient(jnp.abs(rows).max(0))
    zero = largest == 0
    unit = jnp.where(zero, 1.0, largest)
    squares = jnp.square(rows / unit[None]).sum(0)
    # The root of zero has no derivative, so it is not taken there.
    return jnp.where(zero, 0.0, unit * jnp.sqrt(jnp.where(zero, 1.0, squares)))
