"""DB-MTL: moving averages of log-loss gradients, rescaled to the largest norm."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import (
    row_norms,
    safe_divide,
    scale_rows,
    where_finite,
    zero_rows,
)
from mtl_jax.core.balancing import BalancedGradient, JacobianAggregator
from mtl_jax.core.tree import Tree, ema_update, weighted_sum
from mtl_jax.core.validation import require, require_number


class DBMTLState(NamedTuple):
    """Averaged gradients of the log losses, and the losses of the current step."""

    rows: Tree  # leaves [K, ...]
    losses: jax.Array  # [K]
    step: jax.Array


@dataclasses.dataclass(frozen=True)
class DBMTL(JacobianAggregator):
    """Dual balancing of losses and gradients.

    `y_i <- beta_k y_i + (1 - beta_k) g_i / L_i`, where `g_i / L_i` is the gradient of log L_i,
    `beta_k = beta / k^s` at step k and y is initialized to zero;
    `d = max_j ||y_j|| sum_i y_i / ||y_i||`. The result is invariant to multiplying a task's loss by
    a constant; if gradients are scaled but losses are not, it scales with them.

    The reference code uses `log(L + 1e-8)` and divides by `||y_i|| + 1e-8`, which disables the
    method near a stationary point; here nothing is added. Losses must be positive: the row of a
    loss of 0 (e.g. a batch without labels for the task) is treated as zero, and a negative loss
    makes the result NaN; without `pre_step` losses are 1. The reference code's decay of 0 performs
    worst in the paper's own comparison; the default here is the paper's 1/2.

    The weights are `max_j ||y_j|| / ||y_i||`, at least 1, and are applied to the averaged rows, so
    the result may conflict with a task. Degenerate gradients: an averaged row of zero contributes
    nothing and has weight 0; two opposed rows sum to zero; for K = 1 the weight is 1. A NaN or
    infinity in rows or losses makes all outputs NaN and leaves the state unchanged. There is no
    gradient with respect to rows or losses. In the reference, heads use the gradient of their log
    loss; here they keep that of the loss itself. Memory: K gradients of the shared parameters, and
    K more as state (also for `momentum=0.0`).

    Attributes:
      momentum: beta; 0 disables averaging, so that only the current gradients matter.
      decay: s, the exponent of the momentum decay.

    Raises:
      BadInput: for a momentum outside [0, 1), or a negative decay.

    Reference: Lin et al., Dual-Balancing for Multi-Task Learning, 2023, Algorithm 1
      (https://arxiv.org/abs/2308.12029).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method, jacobian = aggregation.DBMTL(momentum=0.0), jnp.diag(jnp.array([2.0, 10.0]))
      >>> state = method.pre_step(jnp.array([1.0, 10.0]), method.init(2, jnp.zeros(2)))
      >>> gradient, weights, state = method.combine(jacobian, state, jax.random.key(0))
      >>> [round(value, 2) for value in gradient.tolist()]
      [2.0, 2.0]
    """

    momentum: float = 0.9
    decay: float = 0.5

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0), decay=(0.0, math.inf))
        require(self.momentum < 1, self, "momentum", "must be below 1", self.momentum)

    def init(self, num_tasks: int, shared: Tree = None) -> DBMTLState:
        """Initial state: rows of zeros, losses of 1."""
        rows = zero_rows(num_tasks, shared)
        ones = jnp.ones(num_tasks, jax.tree.leaves(rows)[0].dtype)
        return DBMTLState(rows, ones, jnp.int32(0))

    def pre_step(self, losses: jax.Array, state: DBMTLState) -> DBMTLState:
        """Stores the losses `[K]` of the current step."""
        losses = jax.lax.stop_gradient(losses)
        return state._replace(losses=losses.astype(state.losses.dtype))

    def combine(self, jacobian: Tree, state: DBMTLState, key: jax.Array) -> BalancedGradient:
        """Maps gradients (leaves `[K, ...]`) to one gradient, weights `[K]` and the next state."""
        jacobian = jax.lax.stop_gradient(jacobian)
        step = state.step + 1
        momentum = self.momentum / step.astype(state.losses.dtype) ** self.decay
        log_gradients = scale_rows(log_derivative(state.losses), jacobian)
        rows = ema_update(state.rows, log_gradients, momentum)
        norms = row_norms(rows)
        weights = norms.max() * safe_divide(jnp.ones_like(norms), norms)
        new = DBMTLState(rows, state.losses, step)
        return BalancedGradient(
            weighted_sum(weights, rows),
            weights,
            where_finite(jnp.isfinite(weights).all(), new, state),
        )


def log_derivative(losses: jax.Array) -> jax.Array:
    """`1 / L` of losses `[K]`; 0 where L is zero or subnormal, NaN where it is negative."""
    losses = jnp.where(jnp.abs(losses) < jnp.finfo(losses.dtype).tiny, 0.0, losses)
    return jnp.where(losses < 0, jnp.nan, safe_divide(jnp.ones_like(losses), losses))
