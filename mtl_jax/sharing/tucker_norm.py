"""TuckerNorm: draw the kernels of all tasks to low rank along every axis of their tensor."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.stacked import kernels_of, trunks_of
from mtl_jax.sharing.trace_norm import nuclear


@dataclasses.dataclass(frozen=True)
class TuckerNorm:
    """Penalty on the nuclear norms of every unfolding of the tasks' stacked kernels.

    `weight * sum_l sum_n ||W_l(n)||_*` over layers l and the axes n of `[K, ...]`, where W(n) has
    axis n as rows and all others as columns; the term of the task axis is `TraceNorm`.
    Biases and norms do not count. It costs an eigendecomposition as large as each axis.

    Attributes:
      weight: of the sum; each axis counts the same (the paper's gamma is 1).

    Raises:
      BadInput: for a negative weight; when called, if there is no trunk of each task.

    Reference: Yang and Hospedales, Trace Norm Regularised Deep Multi-Task Learning, ICLR
      Workshop 2017, Section 2, Tucker (https://arxiv.org/abs/1606.04038).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is not used."""
        return self.weight * tucker_norm(trunks_of(self, params))


def tucker_norm(stacked: Tree) -> jax.Array:
    """Sum over kernels and axes of nuclear norms, `sum_l sum_n ||W_l(n)||_*`.

    Args:
      stacked: tree of leaves `[K, ...]`; those with at least two more axes count.

    Returns:
      A scalar `[]`, with a gradient that is finite everywhere, as `trace_norm`.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.
    """
    return sum(
        nuclear(short(jnp.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)))
        for kernel in kernels_of(stacked)
        for axis in range(kernel.ndim)
    )


def short(matrix: jax.Array) -> jax.Array:
    """The matrix, transposed if it has more rows than columns; its singular values are the same."""
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
