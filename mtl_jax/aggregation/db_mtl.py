"""DB-MTL: averaged gradients of the log losses, all brought to the length of the longest."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import blank, keep, lengths, ratio, scaled
from mtl_jax.core.tree import average, combine
from mtl_jax.core.validation import require, require_number


class DBMTLState(NamedTuple):
    """Averaged gradients of the log losses, and the losses of the step to come."""

    rows: Any  # leaves [K, ...]
    losses: jax.Array  # [K]
    step: jax.Array


@dataclasses.dataclass(frozen=True)
class DBMTL:
    """Dual balancing, of losses and of gradients.

    `y_i <- beta_k y_i + (1 - beta_k) g_i / L_i`, where `g_i / L_i` is the gradient of log L_i,
    `beta_k = beta / k^s` at step k and y starts at zero; `d = max_j ||y_j|| sum_i y_i / ||y_i||`.
    The result does not change if a task's loss is multiplied by a constant; if gradients are
    scaled while losses are not, it scales with them.

    The reference code takes `log(L + 1e-8)` and divides by `||y_i|| + 1e-8`, which switches
    the method off near a stationary point; here nothing is added. Losses must be positive: the
    row of a loss of 0 (as of a batch without labels of the task) counts as zero, a negative
    loss makes the result NaN; without `read_losses` losses are 1. The reference code's decay of
    0 is the worst of the paper's own comparison; the default here is its 1/2.

    The shares are `max_j ||y_j|| / ||y_i||`, at least 1, and weigh the averaged rows, so the
    result may conflict with a task. Degenerate gradients: an averaged row of zero adds nothing
    and its share is 0; two opposed ones add to zero; for K = 1 the share is 1. A NaN or an
    infinity in rows or losses makes all NaN and leaves the state as it was. No gradient flows into rows or
    losses. In the reference heads take the gradient of their log loss; here they keep that of
    the loss itself. Memory: K gradients of the shared parameters, and K more as state (for
    `momentum=0.0` too).

    Attributes:
      momentum: beta; 0 is no average, when only this step's lengths matter.
      decay: s.

    Raises:
      BadInput: for a momentum outside [0, 1), or a decay below 0.

    Reference: Lin et al., Dual-Balancing for Multi-Task Learning, 2023, Algorithm 1
      (https://arxiv.org/abs/2308.12029).
    """

    momentum: float = 0.9
    decay: float = 0.5

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0), decay=(0.0, math.inf))
        require(self.momentum < 1, self, "momentum", "must be below 1", self.momentum)

    def init(self, num_tasks: int, shared: Any) -> DBMTLState:
        """State before the first step: rows of zeros, losses of 1."""
        rows = blank(num_tasks, shared)
        ones = jnp.ones(num_tasks, jax.tree.leaves(rows)[0].dtype)
        return DBMTLState(rows, ones, jnp.int32(0))

    def read_losses(self, losses: jax.Array, state: DBMTLState) -> DBMTLState:
        """Keeps the losses `[K]` of this step."""
        losses = jax.lax.stop_gradient(losses)
        return state._replace(losses=losses.astype(state.losses.dtype))

    def combine(
        self, jacobian: Any, state: DBMTLState, key: jax.Array
    ) -> tuple[Any, jax.Array, DBMTLState]:
        """Maps gradients (leaves `[K, ...]`) to one, shares `[K]` and the next state."""
        jacobian = jax.lax.stop_gradient(jacobian)
        step = state.step + 1
        momentum = self.momentum / step.astype(state.losses.dtype) ** self.decay
        rows = average(state.rows, scaled(slope_of_log(state.losses), jacobian), momentum)
        sizes = lengths(rows)
        shares = sizes.max() * ratio(jnp.ones_like(sizes), sizes)
        new = DBMTLState(rows, state.losses, step)
        return combine(shares, rows), shares, keep(jnp.isfinite(shares).all(), new, state)


def slope_of_log(losses: jax.Array) -> jax.Array:
    """`1 / L` of losses `[K]`; 0 where L is no normal number, NaN where it is negative."""
    there = jnp.where(jnp.abs(losses) < jnp.finfo(losses.dtype).tiny, 0.0, losses)
    return jnp.where(there < 0, jnp.nan, ratio(jnp.ones_like(there), there))
