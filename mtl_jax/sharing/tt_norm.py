"""TTNorm: draw the kernels of all tasks to low ranks of a tensor train."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.stacked import kernels_of, trunks_of
from mtl_jax.sharing.trace_norm import nuclear
from mtl_jax.sharing.tucker_norm import short


@dataclasses.dataclass(frozen=True)
class TTNorm:
    """Penalty on the nuclear norms of the tasks' stacked kernels, cut in two at every place.

    `weight * sum_l sum_n ||W_l[n]||_*` over layers l, where W[n] has the first n axes as rows
    and the others as columns. The order of axes matters: as in the paper, the axes of a kernel
    come first and the task axis last, so the last cut is `TraceNorm`. Biases and norms do not
    count. It costs an eigendecomposition as large as the shorter side of each cut: in a small
    convolution some hundred times `TraceNorm`.

    Attributes:
      weight: of the sum; each cut counts the same (the paper's gamma is 1).

    Raises:
      BadInput: for a negative weight; when called, if there is no trunk of each task.

    Reference: Yang and Hospedales, Trace Norm Regularised Deep Multi-Task Learning, ICLR
      Workshop 2017, Section 2, TT (https://arxiv.org/abs/1606.04038).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is not used."""
        return self.weight * tt_norm(trunks_of(self, params))


def tt_norm(stacked: Tree) -> jax.Array:
    """Sum over kernels and cuts of nuclear norms, `sum_l sum_n ||W_l[n]||_*`.

    Args:
      stacked: tree of leaves `[K, ...]`; those with at least two more axes count.

    Returns:
      A scalar `[]`, with a gradient that is finite everywhere, as `trace_norm`.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.
    """
    return sum(
        nuclear(short(kernel.reshape(math.prod(kernel.shape[:cut]), -1)))
        for kernel in (jnp.moveaxis(kernel, 0, -1) for kernel in kernels_of(stacked))
        for cut in range(1, kernel.ndim)
    )
