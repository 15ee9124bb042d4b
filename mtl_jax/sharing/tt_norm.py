"""TTNorm: pulls the kernels of all tasks towards low tensor-train rank."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.stacked import kernels_of, stacked_trunks
from mtl_jax.sharing.trace_norm import nuclear_norm
from mtl_jax.sharing.tucker_norm import wide_orientation


@dataclasses.dataclass(frozen=True)
class TTNorm:
    """Penalty on the nuclear norms of all tensor-train unfoldings of the stacked kernels.

    `weight * sum_l sum_n ||W_l[n]||_*` over layers l, where W[n] has the first n axes as rows and
    the others as columns. The order of axes matters: as in the paper, the axes of a kernel come
    first and the task axis last, so the last unfolding gives `TraceNorm`. Biases and normalization
    parameters are excluded. It requires an eigendecomposition of the size of the shorter side of
    each unfolding: for a small convolution this costs some hundred times as much as `TraceNorm`.

    Attributes:
      weight: coefficient of the sum; all unfoldings have equal weight (the paper's gamma is 1).

    Raises:
      BadInput: for a negative weight; when called, if the tasks have no separate trunks.

    Reference: Yang and Hospedales, Trace Norm Regularised Deep Multi-Task Learning, ICLR
      Workshop 2017, Section 2, TT (https://arxiv.org/abs/1606.04038).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * tt_norm(stacked_trunks(self, params))


def tt_norm(stacked: Tree) -> jax.Array:
    """Sum of nuclear norms over kernels and unfoldings, `sum_l sum_n ||W_l[n]||_*`.

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
      >>> round(float(sharing.tt_norm(kernels)), 2)
      10.76
    """
    return sum_arrays(
        nuclear_norm(wide_orientation(kernel.reshape(math.prod(kernel.shape[:cut]), -1)))
        for kernel in (jnp.moveaxis(kernel, 0, -1) for kernel in kernels_of(stacked))
        for cut in range(1, kernel.ndim)
    )
