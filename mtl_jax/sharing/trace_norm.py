"""TraceNorm: pulls the kernels of all tasks into a common low-dimensional space."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.penalty import Proximal
from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.proximal import prox_trace_norm
from mtl_jax.sharing.stacked import apply_prox, kernel_matrices, stacked_trunks


@dataclasses.dataclass(frozen=True)
class TraceNorm(Proximal):
    """Penalty on the nuclear norms of the tasks' stacked kernels.

    `weight * sum_l ||W_l||_*` over the layers, with the kernels of layer l of all tasks as the K
    rows of W_l (unfolding by the task axis, LAF). Biases and normalization parameters are excluded.

    Attributes:
      weight: coefficient of the sum.

    Raises:
      BadInput: for a negative weight; when called, if the tasks have no separate trunks.

    Reference: Yang and Hospedales, Trace Norm Regularised Deep Multi-Task Learning, ICLR
      Workshop 2017, Section 2, Last Axis Flattening (https://arxiv.org/abs/1606.04038).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * trace_norm(stacked_trunks(self, params))

    def prox(self, params: Tree, rate: jax.Array) -> Tree:
        """The proximal step with a learning rate `[]`, for `Regularization.proximal`."""
        return apply_prox(self, params, lambda matrix: prox_trace_norm(matrix, rate * self.weight))


def trace_norm(stacked: Tree) -> jax.Array:
    """Sum of the kernels' nuclear norms, `sum_l ||W_l||_*`.

    The gradient is `U V^T`; where W is rank-deficient (zero, equal or repeated rows), that of its
    nonzero part only, the minimum-norm subgradient. Singular values below about `8 sqrt(K D)`
    machine epsilons times the largest are treated as zero.

    Args:
      stacked: tree of leaves `[K, ...]`; only those with at least two more axes are included.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> kernels = {"kernel": jnp.array([[[3.0, 0.0]], [[4.0, 1.0]]])}  # Two tasks, [K, F, C].
      >>> round(float(sharing.trace_norm(kernels)), 2)
      5.66
    """
    return sum_arrays(nuclear_norm(rows) for rows in kernel_matrices(stacked))


@jax.custom_jvp
def nuclear_norm(matrix: jax.Array) -> jax.Array:
    """Nuclear norm `[]` of `[K, D]`, with a finite gradient everywhere."""
    return value_and_subgradient(matrix)[0]


@nuclear_norm.defjvp
def nuclear_norm_jvp(primals, tangents):
    """The derivative is the inner product with `U V^T`."""
    value, gradient = value_and_subgradient(*primals)
    return value, jnp.vdot(gradient, tangents[0], precision="highest")


def value_and_subgradient(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Nuclear norm `[]` and `U V^T` `[K, D]` of a matrix `[K, D]`."""
    basis, values, right = svd(matrix)
    return values.sum(), jnp.matmul(basis, right, precision="highest")


def svd(matrix: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Decomposes a matrix `[K, D]` as `U diag(s) V^T`, using its K x K Gram matrix.

    Returns:
      U `[K, K]`, s `[K]` in no particular order, and V^T `[K, D]`. Singular values that are
      numerically zero are set to zero, with their rows of V^T.
    """
    # The Gram matrix squares the entries: without scaling, small kernels would underflow.
    scale = jnp.abs(matrix).max()
    scaled = matrix / jnp.where(scale > 0, scale, 1.0)
    _, basis = jnp.linalg.eigh(jnp.matmul(scaled, scaled.T, precision="highest"))
    # Rows s_i v_i. Their norms are accurate to epsilon, the roots of the eigenvalues only to its
    # square root.
    rows = jnp.matmul(basis.T, scaled, precision="highest")
    values = jnp.linalg.norm(rows, axis=1)
    threshold = 8.0 * math.sqrt(matrix.size) * jnp.finfo(matrix.dtype).eps * values.max()
    nonzero = values > threshold
    right = jnp.where(nonzero[:, None], rows / jnp.where(nonzero, values, 1.0)[:, None], 0.0)
    return basis, scale * jnp.where(nonzero, values, 0.0), right
