"""MTRL: learns task relationships and pulls related tasks together."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.stacked import kernel_matrices, stacked_trunks
from mtl_jax.sharing.trace_norm import nuclear_norm, svd


@dataclasses.dataclass(frozen=True)
class MTRL:
    """Penalty with the optimal task covariance, learned for each layer.

    `weight * sum_l min tr(W_l^T Omega^-1 W_l)` over Omega of trace 1, with the kernels of layer l
    of all tasks as the K rows of W_l. The minimum is attained at `task_covariance(W_l)`, and equals
    `||W_l||_*^2`. The paper alternates: it fixes Omega while updating W. That gives exactly the
    gradient of the minimum, `2 Omega^-1 W = 2 ||W||_* U V^T`, since Omega is optimal; so the square
    is computed directly, without an inverse. Biases and normalization parameters are excluded.

    The paper's term `tr(W W^T)` is left to weight decay.

    Attributes:
      weight: coefficient of the sum.

    Raises:
      BadInput: for a negative weight; when called, if the tasks have no separate trunks.

    Reference: Zhang and Yeung, A Convex Formulation for Learning Task Relationships in
      Multi-Task Learning, UAI 2010, Section 2 (https://arxiv.org/abs/1203.3536).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * mtrl(stacked_trunks(self, params))


def mtrl(stacked: Tree) -> jax.Array:
    """Sum of the kernels' squared nuclear norms, `sum_l ||W_l||_*^2`.

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
      >>> round(float(sharing.mtrl(kernels)), 1)
      32.0
    """
    return sum_arrays(jnp.square(nuclear_norm(rows)) for rows in kernel_matrices(stacked))


def task_covariance(matrix: jax.Array) -> jax.Array:
    """The optimal task covariance for given parameters, `(W W^T)^(1/2) / tr(...)`.

    Args:
      matrix: W, one row per task, `[K, D]`.

    Returns:
      Omega `[K, K]`, symmetric and positive semidefinite, with trace 1; `I / K` for a zero matrix.
      It is rank-deficient where tasks are linearly dependent.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> covariance = sharing.task_covariance(jnp.array([[1.0, 2.0], [1.0, 2.0]]))
      >>> [[round(value, 2) for value in row] for row in covariance.tolist()]
      [[0.5, 0.5], [0.5, 0.5]]
    """
    basis, values, _ = svd(matrix)
    total = values.sum()
    values = jnp.where(total > 0, values / jnp.where(total > 0, total, 1.0), 1.0 / len(matrix))
    return jnp.matmul(basis * values[None], basis.T, precision="highest")
