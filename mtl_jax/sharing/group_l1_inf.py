"""GroupL1Inf: penalizes each parameter by its largest magnitude over tasks."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.penalty import Proximal
from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.proximal import prox_l1_inf
from mtl_jax.sharing.stacked import apply_prox, kernel_matrices, stacked_trunks


@dataclasses.dataclass(frozen=True)
class GroupL1Inf(Proximal):
    """Penalty on the largest magnitude of each parameter over tasks.

    `weight * sum_d max_t |w_td|` over all entries d of the trunks' kernels: once one task uses a
    parameter, the others may use it up to the same magnitude at no cost. Biases and normalization
    parameters are excluded.

    A gradient step only approaches zero; `prox_l1_inf` reaches it exactly.

    Attributes:
      weight: coefficient of the sum.

    Raises:
      BadInput: for a negative weight; when called, if the tasks have no separate trunks.

    Reference: Quattoni, Carreras, Collins and Darrell, An Efficient Projection for l1,infinity
      Regularization, ICML 2009 (https://doi.org/10.1145/1553374.1553484).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * group_l1_inf(stacked_trunks(self, params))

    def prox(self, params: Tree, rate: jax.Array) -> Tree:
        """The proximal step with a learning rate `[]`, for `Regularization.proximal`."""
        return apply_prox(self, params, lambda matrix: prox_l1_inf(matrix, rate * self.weight))


def group_l1_inf(stacked: Tree) -> jax.Array:
    """Sum of the largest magnitudes over tasks, `sum_d max_t |w_td|`.

    Args:
      stacked: tree of leaves `[K, ...]`; only those with at least two more axes are included.

    Returns:
      A scalar `[]`. Tasks that tie for the largest magnitude share the gradient; where all are zero
      the gradient is zero. Both are the minimum-norm subgradient.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> kernels = {"kernel": jnp.array([[[3.0, 0.0]], [[4.0, 1.0]]])}  # Two tasks, [K, F, C].
      >>> round(float(sharing.group_l1_inf(kernels)), 3)
      5.0
    """
    return sum_arrays(magnitudes(rows).max(0).sum() for rows in kernel_matrices(stacked))


def magnitudes(rows: jax.Array) -> jax.Array:
    """Absolute values with zero gradient at zero, where `jnp.abs` has a gradient of 1."""
    return rows * jnp.sign(rows)
