"""CosineDistance: pushes the parameters of tasks towards orthogonality."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree, sum_arrays
from mtl_jax.core.validation import require_number
from mtl_jax.sharing.stacked import require_tasks, stacked_trunks


@dataclasses.dataclass(frozen=True)
class CosineDistance:
    """Penalty on the squared cosines between the tasks' trunks.

    `weight * sum_{t<u} cos(w_t, w_u)^2`, with all trunk parameters of a task as one vector. It
    pushes tasks apart, including opposed ones, and is largest when all tasks are equal. It does not
    depend on the norms, so its gradient grows as they shrink.

    The paper uses the filters of one layer as the vectors; here the vectors are tasks.

    Attributes:
      weight: coefficient of the sum.

    Raises:
      BadInput: for a negative weight; when called, if the tasks have no separate trunks.

    Reference: Rodriguez et al., Regularizing CNNs with Locally Constrained Decorrelations, ICLR
      2017, the loss on squared cosines (https://arxiv.org/abs/1611.01967).
    """

    weight: float

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf))

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`; `anchor` is unused."""
        return self.weight * squared_cosines(stacked_trunks(self, params))


def squared_cosines(stacked: Tree) -> jax.Array:
    """Squared cosines of K parameter vectors, summed over pairs, `sum_{t<u} cos(w_t, w_u)^2`.

    Args:
      stacked: tree of leaves `[K, ...]`.

    Returns:
      A scalar `[]`. A task with only zero parameters has cosine 0 with all others, and zero
      gradient.

    Raises:
      ValueError: if there is no leaf, or K differs between leaves.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> stacked = {"bias": jnp.array([[1.0, 0.0], [2.0, 2.0]])}  # Two tasks.
      >>> round(float(sharing.squared_cosines(stacked)), 3)
      0.5
    """
    require_tasks(stacked)
    leaves = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(stacked)]
    # Squares could underflow or overflow; the cosines do not depend on the scale.
    largest = jnp.stack([jnp.abs(leaf).max(1) for leaf in leaves]).max(0)
    nonzero = largest > jnp.finfo(largest.dtype).tiny / jnp.finfo(largest.dtype).eps
    scale = jax.lax.stop_gradient(jnp.where(nonzero, largest, 1.0))
    rows = [jnp.where(nonzero[:, None], leaf / scale[:, None], 0.0) for leaf in leaves]
    products = sum_arrays(jnp.matmul(row, row.T, precision="highest") for row in rows)
    squares = jnp.where(nonzero, jnp.diagonal(products), 1.0)
    cosines = jnp.square(products) / (squares[:, None] * squares[None])
    return jnp.triu(cosines, 1).sum()
