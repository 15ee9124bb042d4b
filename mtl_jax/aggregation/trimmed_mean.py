"""Trimmed mean: the coordinate-wise mean of the tasks' gradients without the extremes."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import sum_rows
from mtl_jax.core.balancing import BalancedGradient, JacobianAggregator
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require, require_int


@dataclasses.dataclass(frozen=True)
class TrimmedMean(JacobianAggregator):
    """Coordinate-wise trimmed mean, `d_j = mean of sort(g_1j, ..., g_Kj)[b : K - b]`.

    In each coordinate the b largest and b smallest values are dropped, so b tasks cannot move the
    result beyond the range of the others. It scales with the gradients, is the mean for b = 0 and
    the median for K = 2b + 1; it may conflict with any task. It is deterministic.

    The weight of a task is the mean weight of its coordinates (`1 / (K - 2b)` where kept, else 0),
    weighted by their absolute values. Ties are ranked by task order, which affects only the
    weights.

    Degenerate gradients: a zero row is treated like any other and has weight 0; two opposed rows
    meet in the middle; duplicates outvote the rest. A NaN or infinity anywhere makes the result
    NaN, where the reference code trims it away. There is no gradient with respect to the rows.
    Memory: K gradients of the shared parameters, and the same again for ranking; no state.

    Attributes:
      trim: b, the number of values to drop at each end.

    Raises:
      BadInput: for a negative trim; from `init`, for `2 * trim >= K`.

    Reference: Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, Definition 2, with
      `b = beta K` (https://arxiv.org/abs/1803.01498).
    """

    trim: int = 1

    def __post_init__(self):
        require_int(self, trim=0)

    def init(self, num_tasks: int, shared: Tree = None) -> tuple[()]:
        """Initial state: empty."""
        rule = f"must be below half the number of tasks, {num_tasks}"
        require(2 * self.trim < num_tasks, self, "trim", rule, self.trim)
        return ()

    def combine(self, jacobian: Tree, state: tuple[()], key: jax.Array) -> BalancedGradient:
        """Maps gradients (leaves `[K, ...]`) to their trimmed mean and weights `[K]`."""
        jacobian = jax.lax.stop_gradient(jacobian)
        self.init(len(jax.tree.leaves(jacobian)[0]))
        weighted = jax.tree.map(lambda leaf: trim_rows(leaf, self.trim), jacobian)
        return BalancedGradient(*sum_rows(weighted, jacobian), state)


def trim_rows(rows: jax.Array, trim: int) -> jax.Array:
    """Rows `[K, ...]` divided by `K - 2 trim`, and 0 where they are trimmed."""
    count = len(rows) - 2 * trim
    rank = jnp.argsort(jnp.argsort(rows, 0), 0)
    return jnp.where((rank >= trim) & (rank < trim + count), rows / count, 0.0)
