"""TuckerNorm: pulls the kernels of all tasks towards low rank along every tensor axis."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.stacked import kernels_of, stacked_trunks
from mtl_jax.sharing.trace_norm import nuclear_norm


@dataclasses.dataclass(frozen=True)
class TuckerNorm:
    """Penalty on the nuclear norms of every unfolding of the tasks' stacked kernels.

    `weight * sum_l sum_n ||W_l(n)||_*` over layers l and the axes n of `[K, ...]`, where W(n) has
    axis n as rows and all others as columns; the term of the task axis is `TraceNorm`. Biases and
    normalization parameters are excluded. It requires an eigendecomposition of the size of each
    axis.

    Attributes:
      weight: coefficient of the sum; all axes have equal weight (the paper's gamma is 1).

    Raises:
      BadInput: for a negative weight; when called, if the tasks have no separate trunks.

    Reference: Yang and Hospedales, Trace Norm Regularised Deep Multi-Task Learning, ICLR
      Workshop 2017, Section 2, Tucker (https://arxiv.org/abs/1606.04038).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * tucker_norm(stacked_trunks(self, params))


def tucker_norm(stacked: Tree) -> jax.Array:
    """Sum of nuclear norms over kernels and axes, `sum_l sum_n ||W_l(n)||_*`.

    Args:
      stacked: tree of leaves `[K, ...]`; only those with at least two more axes are included.

    Returns:
      A scalar `[]`, with a finite gradient everywhere, as for `trace_norm`.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> kernels = {"kernel": jnp.array([[[3.0, 0.0]], [[4.0, 1.0]]])}  # Two tasks, [K, F, C].
      >>> round(float(sharing.tucker_norm(kernels)), 2)
      16.41
    """
    return sum_arrays(
        nuclear_norm(
            wide_orientation(jnp.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1))
        )
        for kernel in kernels_of(stacked)
        for axis in range(kernel.ndim)
    )


def wide_orientation(matrix: jax.Array) -> jax.Array:
    """The matrix, transposed if it has more rows than columns; singular values are unchanged."""
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
