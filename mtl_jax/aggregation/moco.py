"""MoCo: descend along tracked gradients, with weights that follow their min-norm problem."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import blank, keep, lengths, ratio, scaled
from mtl_jax.core.tree import average, combine, gram
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import product


class MoCoState(NamedTuple):
    """Tracked gradients, weights, and the losses of the step to come."""

    rows: Any  # leaves [K, ...]
    weights: jax.Array  # [K]
    losses: jax.Array  # [K]
    step: jax.Array


@dataclasses.dataclass(frozen=True)
class MoCo:
    """Multi-objective gradient correction.

    `y_i += beta_k (h_i - y_i)` with `h_i = L_i g_i / ||g_i||`, then `lambda <- softmax(lambda -
    gamma_k (YY' + rho I) lambda)` and `d = sum_i lambda_i y_i`; at step k the rates are
    `beta / k^s` and `gamma / k^t`, and y starts at zero. The rows have the length of their
    losses, so the result does not change if gradients are scaled while losses are not.

    The paper tracks `h_i = g_i` and projects lambda onto the simplex; normalised rows and the
    softmax are those of its authors' code. A trap of that softmax: it is taken of weights
    between 0 and 1, so as gamma falls, lambda tends to `1/K` whatever it was before, and no
    weight is ever more than e times another but for the step itself. The absolute loss counts,
    so that a negative one does not turn its row round; without `read_losses` losses are 1.

    The shares are lambda and sum to 1; they weigh the tracked rows, so the result may conflict
    with a task, and is no combination of this step's gradients. Degenerate gradients: a zero
    row pulls its tracked one to zero; of two opposed ones of equal losses nothing is left; for
    K = 1 lambda is 1. A NaN or an infinity in rows or losses makes all NaN and leaves the state as
    it was. No gradient flows into rows or losses. The reference weighs shared parameters; heads keep their
    own gradient. Memory: K gradients of the shared parameters, and K more as state.

    Attributes:
      tracking: beta, of the rows.
      tracking_decay: s.
      step_size: gamma, of the weights.
      step_decay: t.
      ridge: rho, which draws the weights to each other.

    Raises:
      BadInput: for a tracking rate outside [0, 1], or another number below 0.

    Reference: Fernando et al., Mitigating Gradient Bias in Multi-objective Learning: A Provably
      Convergent Approach, ICLR 2023, Algorithm 1 (https://arxiv.org/abs/2210.12624).
    """

    tracking: float = 0.5
    tracking_decay: float = 0.5
    step_size: float = 0.1
    step_decay: float = 0.5
    ridge: float = 0.0

    def __post_init__(self):
        rest = ("tracking_decay", "step_size", "step_decay", "ridge")
        require_number(self, tracking=(0.0, 1.0), **dict.fromkeys(rest, (0.0, math.inf)))

    def init(self, num_tasks: int, shared: Any) -> MoCoState:
        """State before the first step: rows of zeros, weights of 1/K, losses of 1."""
        rows = blank(num_tasks, shared)
        dtype = jax.tree.leaves(rows)[0].dtype
        even, ones = jnp.full(num_tasks, 1.0 / num_tasks, dtype), jnp.ones(num_tasks, dtype)
        return MoCoState(rows, even, ones, jnp.int32(0))

    def read_losses(self, losses: jax.Array, state: MoCoState) -> MoCoState:
        """Keeps the losses `[K]` of this step."""
        losses = jnp.abs(jax.lax.stop_gradient(losses))
        return state._replace(losses=losses.astype(state.losses.dtype))

    def combine(
        self, jacobian: Any, state: MoCoState, key: jax.Array
    ) -> tuple[Any, jax.Array, MoCoState]:
        """Maps gradients (leaves `[K, ...]`) to one, weights `[K]` and the next state."""
        jacobian = jax.lax.stop_gradient(jacobian)
        step = state.step + 1
        count = step.astype(state.weights.dtype)
        latest = scaled(ratio(state.losses, lengths(jacobian)), jacobian)
        rows = average(state.rows, latest, 1.0 - self.tracking / count**self.tracking_decay)
        slope = product(gram(rows), state.weights) + self.ridge * state.weights
        weights = jax.nn.softmax(state.weights - self.step_size / count**self.step_decay * slope)
        new = MoCoState(rows, weights, state.losses, step)
        return combine(weights, rows), weights, keep(jnp.isfinite(weights).all(), new, state)
