"""ExcessMTL: weights grow with each task's estimated excess risk."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import safe_divide, where_finite, zero_rows
from mtl_jax.core.balancing import BalancedGradient, JacobianAggregator
from mtl_jax.core.tree import Tree, sum_arrays, weighted_sum
from mtl_jax.core.validation import require_int, require_number


class ExcessMTLState(NamedTuple):
    """Root of accumulated squares, log weights, and each task's initial excess."""

    roots: Tree  # leaves [K, ...]
    log_weights: jax.Array  # [K]
    initial_excess: jax.Array  # [K]
    count: jax.Array  # [K], number of steps in the initial excess


@dataclasses.dataclass(frozen=True)
class ExcessMTL(JacobianAggregator):
    """Weights by excess risk, `w_i <- w_i exp(eta E_i / E_i(0))`, normalized to sum 1.

    `E_i = sum_j g_ij^2 / sqrt(S_ij)`, where S accumulates the squared gradients of all steps: a
    second-order estimate of the remaining improvement of task i, with the curvature approximated as
    in Adagrad. `E_i(0)` is its mean over the warm-up steps, in which the ratio is 1. The weights
    are invariant to scaling the gradients of all steps, jointly or per task.

    The reference code adds 1e-7 to S, which swamps small gradients; here nothing is added. Its
    first step uses E itself rather than its ratio to the initial excess, so that large gradients
    determine the weights permanently; here the ratio is 1 in that step, and later steps are
    identical.

    The weights are w; the result may conflict with a task. Degenerate gradients: a zero row has no
    excess, so its weight decreases, and it is not used for the initial excess; if all are zero no
    weight changes; opposed and duplicate gradients get the same weights as they would alone; for K
    = 1 the weight is 1. A NaN or infinity makes all outputs NaN and leaves the state unchanged.
    There is no gradient with respect to the rows. The reference also weights heads; here that is
    set by the run. Memory: K gradients of the shared parameters, and K more as state.

    Attributes:
      step_size: eta.
      warmup: number of steps (with a gradient of the task) that define the initial excess; the
        paper uses epochs, its code one step.

    Raises:
      BadInput: for a negative step size, or a warm-up that is not an integer of at least 1.

    Reference: He et al., Robust Multi-Task Learning with Excess Risks, ICML 2024, Eqs. 6, 7 and
      9 (https://arxiv.org/abs/2402.02009).
    """

    step_size: float = 0.01
    warmup: int = 1

    def __post_init__(self):
        require_number(self, step_size=(0.0, math.inf))
        require_int(self, warmup=1)

    def init(self, num_tasks: int, shared: Tree = None) -> ExcessMTLState:
        """Initial state: weights of 1/K, no excess."""
        roots = zero_rows(num_tasks, shared)
        dtype = jax.tree.leaves(roots)[0].dtype
        log_weights = jnp.full(num_tasks, -math.log(num_tasks), dtype)
        count = jnp.zeros(num_tasks, jnp.int32)
        return ExcessMTLState(roots, log_weights, jnp.zeros(num_tasks, dtype), count)

    def combine(self, jacobian: Tree, state: ExcessMTLState, key: jax.Array) -> BalancedGradient:
        """Maps gradients (leaves `[K, ...]`) to one gradient, weights `[K]` and the next state."""
        jacobian = jax.lax.stop_gradient(jacobian)
        roots = jax.tree.map(jnp.hypot, state.roots, jacobian)
        excess = excess_risks(jacobian, roots)
        warm = state.count >= self.warmup
        counted = ~warm & (excess != 0)
        count = state.count + counted.astype(jnp.int32)
        change = safe_divide(excess - state.initial_excess, count.astype(excess.dtype))
        initial_excess = state.initial_excess + jnp.where(counted, change, 0.0)
        # Multiplying the excess by zero propagates a NaN that would otherwise go unnoticed.
        ratio = safe_divide(excess, state.initial_excess)
        relative = jnp.where(warm, ratio, 1.0 + 0.0 * excess)
        log_weights = jax.nn.log_softmax(state.log_weights + self.step_size * relative)
        weights = jnp.exp(log_weights)
        new = ExcessMTLState(roots, log_weights, initial_excess, count)
        return BalancedGradient(
            weighted_sum(weights, jacobian),
            weights,
            where_finite(jnp.isfinite(excess).all(), new, state),
        )


def excess_risks(jacobian: Tree, roots: Tree) -> jax.Array:
    """`sum_j g_ij^2 / r_ij` of each row, `[K]`, where r is at least |g|; 0 where both are 0."""
    terms = jax.tree.map(
        lambda leaf, root: jnp.abs(leaf) * safe_divide(jnp.abs(leaf), root), jacobian, roots
    )
    return sum_arrays(leaf.reshape(len(leaf), -1).sum(1) for leaf in jax.tree.leaves(terms))
