"""MetaBalance: rescales auxiliary gradients towards the main task's norm, leaf by leaf."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import (
    broadcast_rows,
    require_params,
    row_norms,
    safe_divide,
    sum_rows,
    where_finite,
)
from mtl_jax.core.balancing import BalancedGradient, JacobianAggregator
from mtl_jax.core.tree import Tree, ema_update
from mtl_jax.core.validation import require, require_int, require_number


@dataclasses.dataclass(frozen=True)
class MetaBalance(JacobianAggregator):
    """Auxiliary gradients rescaled to the main task's norm, `d = sum_i (r m_0 / m_i + 1 - r) g_i`.

    Separately for each parameter leaf, `m_i` is a moving average of `||g_i||` and `m_0` that of the
    main task: auxiliary gradients are rescaled towards it to the degree set by the relaxation r;
    the main gradient is unchanged. The averages are initialized to zero without bias correction,
    which cancels in their ratio. The result scales with the gradients of all steps; it may conflict
    with any task, including the main one.

    The weight of a task is the mean weight of its coordinates, weighted by their absolute values;
    that of the main task is 1.

    Degenerate gradients: a zero row contributes nothing and has weight 0; where the main gradient
    has been zero so far, the others are multiplied by `1 - r`; two opposed rows of equal norm sum
    to zero; duplicates count twice; for K = 1 the row is unchanged. A NaN or infinity makes the
    result NaN and leaves the averages unchanged. There is no gradient with respect to the rows. As
    in the reference, heads are unchanged. Memory: K gradients of the shared parameters, and K
    numbers per leaf as state.

    Attributes:
      main: index of the main task.
      relaxation: r; 0 gives the plain sum, 1 rescales to the main gradient's norm on average.
      momentum: momentum of the averages.

    Raises:
      BadInput: for an index that is not a non-negative integer, a relaxation outside [0, 1], or a
        momentum outside [0, 1); from `init`, for an index of K or more.

    Reference: He et al., MetaBalance: Improving Multi-Task Recommendations via Adapting Gradient
      Magnitudes of Auxiliary Tasks, WWW 2022, the version with moving averages and relaxation
      (https://arxiv.org/abs/2203.06801).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method = aggregation.MetaBalance(relaxation=1.0)
      >>> jacobian = jnp.array([[1.0, 0.0], [0.0, 9.0]])
      >>> gradient, weights = aggregation.aggregate(method, jacobian, jax.random.key(0))
      >>> [round(value, 2) for value in gradient.tolist()]
      [1.0, 1.0]
    """

    main: int = 0
    relaxation: float = 0.7
    momentum: float = 0.9

    def __post_init__(self):
        require_int(self, main=0)
        require_number(self, relaxation=(0.0, 1.0), momentum=(0.0, 1.0))
        require(self.momentum < 1, self, "momentum", "must be below 1", self.momentum)

    def init(self, num_tasks: int, shared: Tree = None) -> Tree:
        """Initial state: average norms of zero, `[K]` for each leaf."""
        rule = f"must be below the number of tasks, {num_tasks}"
        require(self.main < num_tasks, self, "main", rule, self.main)
        require_params(shared)
        return jax.tree.map(lambda leaf: jnp.zeros(num_tasks, leaf.dtype), shared)

    def combine(self, jacobian: Tree, state: Tree, key: jax.Array) -> BalancedGradient:
        """Maps gradients (leaves `[K, ...]`) to one gradient, weights `[K]` and next averages."""
        jacobian = jax.lax.stop_gradient(jacobian)
        means = ema_update(state, jax.tree.map(row_norms, jacobian), self.momentum)
        gradient, weights = sum_rows(jax.tree.map(self.adapt, jacobian, means), jacobian)
        return BalancedGradient(
            gradient, weights, where_finite(jnp.isfinite(weights).all(), means, state)
        )

    def adapt(self, rows: jax.Array, means: jax.Array) -> jax.Array:
        """Rescales rows `[K, ...]` of one leaf by their average norms `[K]`."""
        # Factors are applied one by one: their product may overflow where the row does not.
        unit = broadcast_rows(safe_divide(jnp.ones_like(means), means), rows) * rows
        return self.relaxation * (means[self.main] * unit) + (1.0 - self.relaxation) * rows
