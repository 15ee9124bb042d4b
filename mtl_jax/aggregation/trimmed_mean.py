"""Trimmed mean: in every coordinate the mean of the tasks' gradients without the outermost."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import collect
from mtl_jax.core.validation import require, require_count


@dataclasses.dataclass(frozen=True)
class TrimmedMean:
    """Coordinate-wise trimmed mean, `d_j = mean of sort(g_1j, ..., g_Kj)[b : K - b]`.

    In each coordinate the b largest and the b smallest numbers are left out, so b tasks cannot
    move the result beyond what the others say. It scales as the gradients do, is the mean for
    b = 0 and the median for K = 2b + 1; it may conflict with any task. Nothing is drawn.

    The share of a task is the mean weight of its coordinates (`1 / (K - 2b)` where it is kept,
    else 0), each counted by its absolute value. Numbers that tie are ranked by the order of
    the tasks, which only the shares show.

    Degenerate gradients: a zero row takes part like any other, and its share is 0; two opposed
    ones meet in the middle; duplicates outvote the rest. A NaN or an infinity anywhere makes
    the result NaN, where the reference code trims it away. No gradient flows into the rows.
    Memory: K gradients of the shared parameters, and as much again while they are ranked; no state.

    Attributes:
      trim: b, how many numbers to leave out at each end.

    Raises:
      BadInput: for a negative trim; for `2 * trim >= K`, when initialised.

    Reference: Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, Definition 2, with
      `b = beta K` (https://arxiv.org/abs/1803.01498).
    """

    trim: int = 1

    def __post_init__(self):
        require_count(self, trim=0)

    def init(self, num_tasks: int, shared: Any) -> tuple[()]:
        """State before the first step: none."""
        rule = f"must be below half the number of tasks, {num_tasks}"
        require(2 * self.trim < num_tasks, self, "trim", rule, self.trim)
        return ()

    def combine(
        self, jacobian: Any, state: tuple[()], key: jax.Array
    ) -> tuple[Any, jax.Array, tuple[()]]:
        """Maps gradients (leaves `[K, ...]`) to their trimmed mean and shares `[K]`."""
        jacobian = jax.lax.stop_gradient(jacobian)
        self.init(len(jax.tree.leaves(jacobian)[0]), None)
        kept = jax.tree.map(lambda leaf: middle(leaf, self.trim), jacobian)
        return *collect(kept, jacobian), state


def middle(rows: jax.Array, trim: int) -> jax.Array:
    """Rows `[K, ...]` over `K - 2 trim`, and 0 where they are among the outermost."""
    left = len(rows) - 2 * trim
    rank = jnp.argsort(jnp.argsort(rows, 0), 0)
    return jnp.where((rank >= trim) & (rank < trim + left), rows / left, 0.0)
