"""TraceNorm: draw the kernels of all tasks into a common space of few dimensions."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.proximal import prox_trace_norm
from mtl_jax.sharing.stacked import rows_of, shrunk, trunks_of


@dataclasses.dataclass(frozen=True)
class TraceNorm:
    """Penalty on the nuclear norms of the tasks' stacked kernels.

    `weight * sum_l ||W_l||_*` over the layers, with the kernels of layer l of all tasks as
    the K rows of W_l (unfolding by the task axis, LAF). Biases and norms do not count.

    Attributes:
      weight: of the sum.

    Raises:
      BadInput: for a negative weight; when called, if there is no trunk of each task.

    Reference: Yang and Hospedales, Trace Norm Regularised Deep Multi-Task Learning, ICLR
      Workshop 2017, Section 2, Last Axis Flattening (https://arxiv.org/abs/1606.04038).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is not used."""
        return self.weight * trace_norm(trunks_of(self, params))

    def shrink(self, params: Tree, rate: jax.Array) -> Tree:
        """The proximal step with a learning rate `[]`, for `Run.proximal`."""
        return shrunk(self, params, lambda matrix: prox_trace_norm(matrix, rate * self.weight))


def trace_norm(stacked: Tree) -> jax.Array:
    """Sum over the kernels of nuclear norms, `sum_l ||W_l||_*`.

    The gradient is `U V^T`; where W has a lower rank (zero, equal or repeated rows), that of
    its nonzero part only, the subgradient of least norm. Singular values below about
    `8 sqrt(K D)` machine epsilons of the largest count as zero.

    Args:
      stacked: tree of leaves `[K, ...]`; those with at least two more axes count.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.
    """
    return sum(nuclear(rows) for rows in rows_of(stacked))


@jax.custom_jvp
def nuclear(matrix: jax.Array) -> jax.Array:
    """Nuclear norm `[]` of `[K, D]`, with a gradient that is finite everywhere."""
    return decomposed(matrix)[0]


@nuclear.defjvp
def nuclear_jvp(primals, tangents):
    """The derivative is the inner product with `U V^T`."""
    value, gradient = decomposed(*primals)
    return value, jnp.vdot(gradient, tangents[0], precision="highest")


def decomposed(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Nuclear norm `[]` and `U V^T` `[K, D]` of a matrix `[K, D]`."""
    basis, values, units = spectrum(matrix)
    return values.sum(), jnp.matmul(basis, units, precision="highest")


def spectrum(matrix: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Parts of a matrix `[K, D]`, `U diag(s) V^T`, by its K x K Gram.

    Returns:
      U `[K, K]`, s `[K]` in no order, and V^T `[K, D]`. Singular values that are too small to
      be told from zero are zero, with their rows of V^T.
    """
    # The Gram squares: without a scale, small kernels would underflow.
    scale = jnp.abs(matrix).max()
    scaled = matrix / jnp.where(scale > 0, scale, 1.0)
    _, basis = jnp.linalg.eigh(jnp.matmul(scaled, scaled.T, precision="highest"))
    # Rows s_i v_i. Their lengths are right to epsilon, the roots of the eigenvalues only to
    # its root.
    rows = jnp.matmul(basis.T, scaled, precision="highest")
    values = jnp.linalg.norm(rows, axis=1)
    least = 8.0 * math.sqrt(matrix.size) * jnp.finfo(matrix.dtype).eps * values.max()
    kept = values > least
    units = jnp.where(kept[:, None], rows / jnp.where(kept, values, 1.0)[:, None], 0.0)
    return basis, scale * jnp.where(kept, values, 0.0), units
