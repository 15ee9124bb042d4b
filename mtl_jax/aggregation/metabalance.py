"""MetaBalance: bring auxiliary gradients towards the length of the main task's, leaf by leaf."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import collect, keep, lengths, ratio, spread
from mtl_jax.core.tree import average
from mtl_jax.core.validation import require, require_count, require_number


@dataclasses.dataclass(frozen=True)
class MetaBalance:
    """Gradients of a length near the main task's, `d = sum_i (r m_0 / m_i + 1 - r) g_i`.

    In each leaf of the parameters on its own, `m_i` is a moving average of `||g_i||` there and
    `m_0` that of the main task: auxiliary gradients are shortened or stretched towards it, as
    far as the relaxation r says; the main one stays as it is. The averages start at zero and
    are not corrected for that, which cancels in their ratio. The result scales as the gradients
    of all steps do; it may conflict with any task, the main one too.

    The share of a task is the mean weight of its coordinates, each counted by its absolute
    value; that of the main task is 1.

    Degenerate gradients: a zero row adds nothing and its share is 0; where the main one has
    been zero so far, the others are multiplied by `1 - r`; two opposed ones of equal length add
    to zero; duplicates count twice; for K = 1 the row stays as it is. A NaN or an infinity
    makes the result NaN and leaves the averages as they were. No gradient flows into the rows. The
    reference leaves heads as they are. Memory: K gradients of the shared parameters, and K
    numbers a leaf as state.

    Attributes:
      main: place of the main task.
      relaxation: r; 0 is the sum, 1 the length of the main gradient on average.
      momentum: of the averages.

    Raises:
      BadInput: for a place that is no whole number from 0, a relaxation outside [0, 1], a
        momentum outside [0, 1); for a place of K or more, when initialised.

    Reference: He et al., MetaBalance: Improving Multi-Task Recommendations via Adapting Gradient
      Magnitudes of Auxiliary Tasks, WWW 2022, the version with moving averages and relaxation
      (https://arxiv.org/abs/2203.06801).
    """

    main: int = 0
    relaxation: float = 0.7
    momentum: float = 0.9

    def __post_init__(self):
        require_count(self, main=0)
        require_number(self, relaxation=(0.0, 1.0), momentum=(0.0, 1.0))
        require(self.momentum < 1, self, "momentum", "must be below 1", self.momentum)

    def init(self, num_tasks: int, shared: Any) -> Any:
        """State before the first step: average lengths of zero, `[K]` for each leaf."""
        rule = f"must be below the number of tasks, {num_tasks}"
        require(self.main < num_tasks, self, "main", rule, self.main)
        return jax.tree.map(lambda leaf: jnp.zeros(num_tasks, leaf.dtype), shared)

    def combine(self, jacobian: Any, state: Any, key: jax.Array) -> tuple[Any, jax.Array, Any]:
        """Maps gradients (leaves `[K, ...]`) to one, shares `[K]` and the next averages."""
        jacobian = jax.lax.stop_gradient(jacobian)
        means = average(state, jax.tree.map(lengths, jacobian), self.momentum)
        gradient, shares = collect(jax.tree.map(self.adapt, jacobian, means), jacobian)
        return gradient, shares, keep(jnp.isfinite(shares).all(), means, state)

    def adapt(self, rows: jax.Array, means: jax.Array) -> jax.Array:
        """Rows `[K, ...]` of one leaf, multiplied as their average lengths `[K]` say."""
        # One factor after the other: their product may overflow where the row does not.
        unit = spread(ratio(jnp.ones_like(means), means), rows) * rows
        return self.relaxation * (means[self.main] * unit) + (1.0 - self.relaxation) * rows
