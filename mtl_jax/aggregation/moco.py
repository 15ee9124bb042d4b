"""MoCo: momentum-tracked gradients with weights that follow their min-norm problem."""

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
from mtl_jax.core.tree import Tree, ema_update, gram, weighted_sum
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import matvec


class MoCoState(NamedTuple):
    """Tracked gradients, weights, and the losses of the current step."""

    rows: Tree  # leaves [K, ...]
    weights: jax.Array  # [K]
    losses: jax.Array  # [K]
    step: jax.Array


@dataclasses.dataclass(frozen=True)
class MoCo(JacobianAggregator):
    """Multi-objective gradient correction.

    `y_i += beta_k (h_i - y_i)` with `h_i = L_i g_i / ||g_i||`, then `lambda <- softmax(lambda -
    gamma_k (YY' + rho I) lambda)` and `d = sum_i lambda_i y_i`; at step k the rates are `beta /
    k^s` and `gamma / k^t`, and y is initialized to zero. The norms of the rows equal their losses,
    so the result does not change if gradients are scaled but losses are not.

    The paper tracks `h_i = g_i` and projects lambda onto the simplex; normalized rows and the
    softmax follow the authors' code. Note that this softmax is taken of weights between 0 and 1, so
    as gamma decreases, lambda tends to `1/K` regardless of its previous value, and apart from the
    step itself no weight exceeds e times another. Losses enter by absolute value, so that a
    negative loss does not flip its row; without `pre_step` losses are 1.

    The weights are lambda and sum to 1; they are applied to the tracked rows, so the result may
    conflict with a task, and is not a combination of this step's gradients. Degenerate gradients: a
    zero row pulls its tracked row to zero; two opposed rows with equal losses cancel; for K = 1
    lambda is 1. A NaN or infinity in rows or losses makes all outputs NaN and leaves the state
    unchanged. There is no gradient with respect to rows or losses. As in the reference, only
    gradients of shared parameters are weighted; heads keep their own gradients. Memory: K gradients
    of the shared parameters, and K more as state.

    Attributes:
      tracking: beta, tracking rate of the rows.
      tracking_decay: s, decay exponent of the tracking rate.
      step_size: gamma, step size of the weights.
      step_decay: t, decay exponent of the step size.
      ridge: rho, which pulls the weights towards each other.

    Raises:
      BadInput: for a tracking rate outside [0, 1], or another negative number.

    Reference: Fernando et al., Mitigating Gradient Bias in Multi-objective Learning: A Provably
      Convergent Approach, ICLR 2023, Algorithm 1 (https://arxiv.org/abs/2210.12624).
    """

    tracking: float = 0.5
    tracking_decay: float = 0.5
    step_size: float = 0.1
    step_decay: float = 0.5
    ridge: float = 0.0

    def __post_init__(self):
        nonnegative = ("tracking_decay", "step_size", "step_decay", "ridge")
        require_number(self, tracking=(0.0, 1.0), **dict.fromkeys(nonnegative, (0.0, math.inf)))

    def init(self, num_tasks: int, shared: Tree = None) -> MoCoState:
        """Initial state: rows of zeros, weights of 1/K, losses of 1."""
        rows = zero_rows(num_tasks, shared)
        dtype = jax.tree.leaves(rows)[0].dtype
        weights, losses = jnp.full(num_tasks, 1.0 / num_tasks, dtype), jnp.ones(num_tasks, dtype)
        return MoCoState(rows, weights, losses, jnp.int32(0))

    def pre_step(self, losses: jax.Array, state: MoCoState) -> MoCoState:
        """Stores the losses `[K]` of the current step."""
        losses = jnp.abs(jax.lax.stop_gradient(losses))
        return state._replace(losses=losses.astype(state.losses.dtype))

    def combine(self, jacobian: Tree, state: MoCoState, key: jax.Array) -> BalancedGradient:
        """Maps gradients (leaves `[K, ...]`) to one gradient, weights `[K]` and the next state."""
        jacobian = jax.lax.stop_gradient(jacobian)
        step = state.step + 1
        count = step.astype(state.weights.dtype)
        normalized = scale_rows(safe_divide(state.losses, row_norms(jacobian)), jacobian)
        rows = ema_update(state.rows, normalized, 1.0 - self.tracking / count**self.tracking_decay)
        gradient = matvec(gram(rows), state.weights) + self.ridge * state.weights
        weights = jax.nn.softmax(state.weights - self.step_size / count**self.step_decay * gradient)
        new = MoCoState(rows, weights, state.losses, step)
        return BalancedGradient(
            weighted_sum(weights, rows),
            weights,
            where_finite(jnp.isfinite(weights).all(), new, state),
        )
