"""ExcessMTL: weights grow with the estimated distance of each task from its best."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import blank, keep, ratio
from mtl_jax.core.tree import combine
from mtl_jax.core.validation import require_count, require_number


class ExcessMTLState(NamedTuple):
    """Roots of the squares so far, log weights, and the excess that each task began with."""

    roots: Any  # leaves [K, ...]
    log_weights: jax.Array  # [K]
    first: jax.Array  # [K]
    measured: jax.Array  # [K], in how many steps


@dataclasses.dataclass(frozen=True)
class ExcessMTL:
    """Weights by excess risk, `w_i <- w_i exp(eta E_i / E_i(0))`, brought to the sum 1.

    `E_i = sum_j g_ij^2 / sqrt(S_ij)`, where S sums up the squares of all steps so far: to second
    order what task i has still to gain, with the curvature guessed as Adagrad does. `E_i(0)` is
    its mean over the first steps, in which a task counts as 1. The weights do not change if
    the gradients of all steps are scaled, all alike or by task.

    The reference code adds 1e-7 to S, which drowns small gradients; here nothing is added. Its
    first step takes E itself rather than its ratio to the first one, so that large gradients
    settle the weights for ever; here the ratio is 1 then, and later steps are the same.

    The shares are w; the result may conflict with a task. Degenerate gradients: a zero row has
    no excess, so that its weight falls, and is not taken for a first one; all zero change no
    weight; opposed and duplicated ones get the weight that they would alone; for K = 1 it is 1.
    A NaN or an infinity makes all NaN and leaves the state as it was. No gradient flows into the rows. The
    reference weighs heads too; here that is up to the run. Memory: K gradients of the shared
    parameters, and K more as state.

    Attributes:
      step_size: eta.
      warmup: how many steps (with a gradient of the task) make the first excess; the paper
        takes epochs, its code one step.

    Raises:
      BadInput: for a step size below 0, or a warm-up that is no whole number of at least 1.

    Reference: He et al., Robust Multi-Task Learning with Excess Risks, ICML 2024, Eqs. 6, 7 and
      9 (https://arxiv.org/abs/2402.02009).
    """

    step_size: float = 0.01
    warmup: int = 1

    def __post_init__(self):
        require_number(self, step_size=(0.0, math.inf))
        require_count(self, warmup=1)

    def init(self, num_tasks: int, shared: Any) -> ExcessMTLState:
        """State before the first step: weights of 1/K, nothing measured."""
        roots = blank(num_tasks, shared)
        dtype = jax.tree.leaves(roots)[0].dtype
        even = jnp.full(num_tasks, -math.log(num_tasks), dtype)
        measured = jnp.zeros(num_tasks, jnp.int32)
        return ExcessMTLState(roots, even, jnp.zeros(num_tasks, dtype), measured)

    def combine(
        self, jacobian: Any, state: ExcessMTLState, key: jax.Array
    ) -> tuple[Any, jax.Array, ExcessMTLState]:
        """Maps gradients (leaves `[K, ...]`) to one, weights `[K]` and the next state."""
        jacobian = jax.lax.stop_gradient(jacobian)
        roots = jax.tree.map(jnp.hypot, state.roots, jacobian)
        excess = excesses(jacobian, roots)
        done = state.measured >= self.warmup
        fresh = ~done & (excess != 0)
        measured = state.measured + fresh.astype(jnp.int32)
        change = ratio(excess - state.first, measured.astype(excess.dtype))
        first = state.first + jnp.where(fresh, change, 0.0)
        # Zero times the excess lets a NaN through where it is not looked at otherwise.
        relative = jnp.where(done, ratio(excess, state.first), 1.0 + 0.0 * excess)
        log_weights = jax.nn.log_softmax(state.log_weights + self.step_size * relative)
        weights = jnp.exp(log_weights)
        new = ExcessMTLState(roots, log_weights, first, measured)
        return combine(weights, jacobian), weights, keep(jnp.isfinite(excess).all(), new, state)


def excesses(jacobian: Any, roots: Any) -> jax.Array:
    """`sum_j g_ij^2 / r_ij` of each row, `[K]`, where r is never below |g|; 0 where both are 0."""
    parts = jax.tree.map(
        lambda leaf, root: jnp.abs(leaf) * ratio(jnp.abs(leaf), root), jacobian, roots
    )
    return sum(leaf.reshape(len(leaf), -1).sum(1) for leaf in jax.tree.leaves(parts))
