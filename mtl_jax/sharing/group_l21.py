"""GroupL21: makes all tasks use the same sparse set of parameters."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.penalty import Proximal
from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.proximal import prox_l21
from mtl_jax.sharing.stacked import apply_prox, kernel_matrices, stacked_trunks


@dataclasses.dataclass(frozen=True)
class GroupL21(Proximal):
    """Penalty on the norm of each parameter across tasks.

    `weight * sum_d ||(w_1d, ..., w_Kd)||_2` over all entries d of the trunks' kernels: a parameter
    becomes zero in all tasks or in none. Biases and normalization parameters are excluded.

    A gradient step only approaches zero; `prox_l21` reaches it exactly.

    Attributes:
      weight: coefficient of the sum.

    Raises:
      BadInput: for a negative weight; when called, if the tasks have no separate trunks.

    Reference: Liu, Ji and Ye, Multi-Task Feature Learning Via Efficient l2,1-Norm Minimization,
      UAI 2009 (https://arxiv.org/abs/1205.2631).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> penalty = sharing.GroupL21(weight=1.0)
      >>> trunk = {"kernel": jnp.array([[[3.0, 0.1]], [[4.0, 0.1]]])}
      >>> params = penalty.prox({"shared": {}, "tasks": {"trunk": trunk}}, jnp.array(0.5))
      >>> [round(value, 2) for value in params["tasks"]["trunk"]["kernel"].ravel().tolist()]
      [2.7, 0.0, 3.6, 0.0]
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * group_l21(stacked_trunks(self, params))

    def prox(self, params: Tree, rate: jax.Array) -> Tree:
        """The proximal step with a learning rate `[]`, for `Regularization.proximal`."""
        return apply_prox(self, params, lambda matrix: prox_l21(matrix, rate * self.weight))


def group_l21(stacked: Tree) -> jax.Array:
    """Sum of the norms over tasks, `sum_d ||(w_1d, ..., w_Kd)||_2`.

    Args:
      stacked: tree of leaves `[K, ...]`; only those with at least two more axes are included.

    Returns:
      A scalar `[]`; where all tasks are zero the gradient is zero.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> kernels = {"kernel": jnp.array([[[3.0, 0.0]], [[4.0, 1.0]]])}  # Two tasks, [K, F, C].
      >>> round(float(sharing.group_l21(kernels)), 3)
      6.0
    """
    return sum_arrays(column_norms(rows).sum() for rows in kernel_matrices(stacked))


def column_norms(rows: jax.Array) -> jax.Array:
    """Norms `[D]` of the columns of `[K, D]`, with a finite gradient everywhere."""
    # Squares could underflow or overflow; the norms are computed on scaled values.
    largest = jax.lax.stop_gradient(jnp.abs(rows).max(0))
    zero = largest == 0
    scale = jnp.where(zero, 1.0, largest)
    squares = jnp.square(rows / scale[None]).sum(0)
    # The square root has no derivative at zero, so it is not evaluated there.
    return jnp.where(zero, 0.0, scale * jnp.sqrt(jnp.where(zero, 1.0, squares)))
