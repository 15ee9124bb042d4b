"""MTRL: learn how tasks are related, and draw them together where they are."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.stacked import rows_of, trunks_of
from mtl_jax.sharing.trace_norm import nuclear, spectrum


@dataclasses.dataclass(frozen=True)
class MTRL:
    """Penalty by the best covariance of the tasks, learnt for each layer.

    `weight * sum_l min tr(W_l^T Omega^-1 W_l)` over Omega of trace 1, with the kernels of layer l
    of all tasks as the K rows of W_l. The minimum is at `task_covariance(W_l)`, and is
    `||W_l||_*^2`. The paper alternates: it holds Omega while it moves W. That gives the very
    gradient of the minimum, `2 Omega^-1 W = 2 ||W||_* U V^T`, since Omega is optimal; so the
    square is what is computed, and no inverse is taken. Biases and norms do not count.

    The paper's term `tr(W W^T)` is left to weight decay.

    Attributes:
      weight: of the sum.

    Raises:
      BadInput: for a negative weight; when called, if there is no trunk of each task.

    Reference: Zhang and Yeung, A Convex Formulation for Learning Task Relationships in
      Multi-Task Learning, UAI 2010, Section 2 (https://arxiv.org/abs/1203.3536).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; the anchor is not used."""
        return self.weight * mtrl(trunks_of(self, params))


def mtrl(stacked: Tree) -> jax.Array:
    """Sum over the kernels of squared nuclear norms, `sum_l ||W_l||_*^2`.

    Args:
      stacked: tree of leaves `[K, ...]`; those with at least two more axes count.

    Returns:
      A scalar `[]`, with a gradient that is finite everywhere, as `trace_norm`.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.
    """
    return sum(jnp.square(nuclear(rows)) for rows in rows_of(stacked))


def task_covariance(matrix: jax.Array) -> jax.Array:
    """The covariance of tasks that suits their parameters best, `(W W^T)^(1/2) / tr(...)`.

    Args:
      matrix: W, one row a task, `[K, D]`.

    Returns:
      Omega `[K, K]`, symmetric and positive semidefinite, of trace 1; for a zero matrix `I / K`.
      It is of lower rank where tasks depend on each other.
    """
    basis, values, _ = spectrum(matrix)
    total = values.sum()
    shares = jnp.where(total > 0, values / jnp.where(total > 0, total, 1.0), 1.0 / len(matrix))
    return jnp.matmul(basis * shares[None], basis.T, precision="highest")
