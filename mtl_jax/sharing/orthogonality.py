"""Orthogonality: keeps task-specific parameters orthogonal to shared ones."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.mean_l2 import center
from mtl_jax.sharing.stacked import kernels_of, stacked_trunks


@dataclasses.dataclass(frozen=True)
class Orthogonality:
    """Penalty on the overlap of the tasks' mean kernel with each task's deviation from it.

    `weight * sum_l sum_t ||S_l^T P_lt||_F^2`, with `S = mean_t W_t` and `P_t = W_t - S` as matrices
    `[F, C]` (inputs, outputs): the deviation of a task should read input directions other than
    those of the mean. Biases and normalization parameters are excluded.

    The papers apply this to the features of a shared and a private encoder; a penalty receives only
    parameters, and with one trunk per task the shared part is the mean. For features, or for the
    subspaces of a custom model, use `orthogonality`. The penalty is of fourth order in the
    parameters.

    Attributes:
      weight: coefficient of the sum.

    Raises:
      BadInput: for a negative weight; when called, if the tasks have no separate trunks.

    Reference: Bousmalis et al., Domain Separation Networks, NeurIPS 2016, L_difference in
      Section 3.1 (https://arxiv.org/abs/1608.06019).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * shared_private_overlap(stacked_trunks(self, params))


def shared_private_overlap(stacked: Tree) -> jax.Array:
    """Overlap of the mean kernel with the deviations from it, `sum_t ||S^T P_t||_F^2`.

    Args:
      stacked: tree of leaves `[K, ..., C]`; only those with at least two axes besides K are
        included.

    Returns:
      A scalar `[]`; exactly 0, with zero gradient, if all tasks are equal.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> kernels = {"kernel": jnp.array([[[3.0, 0.0]], [[4.0, 1.0]]])}  # Two tasks, [K, F, C].
      >>> round(float(sharing.shared_private_overlap(kernels)), 3)
      12.5
    """
    kernels = [k.reshape(k.shape[0], -1, k.shape[-1]) for k in kernels_of(stacked)]
    return sum_arrays(
        jax.vmap(orthogonality, (None, 0))(kernel.mean(0), center(kernel)).sum()
        for kernel in kernels
    )


def orthogonality(shared: jax.Array, private: jax.Array) -> jax.Array:
    """Overlap of two sets of columns, `||S^T P||_F^2`; 0 if the sets are mutually orthogonal.

    Args:
      shared: S, features `[N, D]` of a batch, or a kernel `[F, D]`.
      private: P, `[N, E]`.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if either is not a matrix, or their row counts differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> shared, private = jnp.array([[1.0], [0.0]]), jnp.array([[0.5], [2.0]])
      >>> float(sharing.orthogonality(shared, private))
      0.25
    """
    if shared.ndim != 2 or private.ndim != 2 or len(shared) != len(private):
        raise ValueError(f"orthogonality needs [N, D], [N, E], not {shared.shape}, {private.shape}")
    return jnp.square(jnp.matmul(shared.T, private, precision="highest")).sum()
