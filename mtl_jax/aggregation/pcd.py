"""PCD: follows the first task's gradient subject to progress of the others."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import where_finite
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require, require_number
from mtl_jax.solvers.quadratic import check_square, matvec, solve_nonneg_qp


class PCDState(NamedTuple):
    """Bias-corrected moving averages of the squared norms."""

    squares: jax.Array  # [K]
    total: jax.Array  # [], total weight of all steps so far in the average


@dataclasses.dataclass(frozen=True)
class PCD(GramWeighting):
    """Priority-constrained descent: the first task has priority, the others must not get worse.

    `d = argmin ||d - h_1||` subject to `<h_j, d> >= tau ||h_j||^2` for all j but 1, where `h_i` is
    `g_i` divided by the root of a moving average of its squared norm; then d is rescaled to the
    norm of `g_1`. With the multipliers m, `d = h_1 + sum_j m_j h_j`: the weights are non-negative,
    and d conflicts with no task except possibly the first. The weights are invariant to scaling all
    gradients by the same factor at every step, and d is invariant to scaling those of one other
    task.

    The reference code adds 1e-8 to the average; here nothing is added, so that small gradients stay
    balanced. It detects contradictory constraints by the angle between gradients; here constraints
    are contradictory if the solver leaves one of them short by half of tau or more.

    Degenerate gradients: a zero first gradient, or all-zero gradients, give zero weights, as does a
    d that is zero up to rounding (a gradient opposed to the first, at tau = 0); other zero
    gradients get weight 0; if the constraints contradict each other (two opposed gradients among
    the others), `d = g_1`; for K = 1 the weight is 1. A NaN or infinity in G makes all weights NaN
    and leaves the state unchanged. There is no gradient with respect to G. The reference weights
    all parameters; here the heads keep their own gradients. The order of the tasks matters.

    Attributes:
      tau: fraction of the progress of its own normalized gradient that each other task is
        guaranteed.
      beta: momentum of the averages.

    Raises:
      BadInput: for a tau outside [0, 1], or a beta that is not below 1.

    Reference: Varam and AlHajri, Not All Objectives Are Born Equal: Priority-Constrained
      Descent for Hierarchical Multi-Objective Optimization, TMLR 2026 (https://arxiv.org/abs/2606.29521).
    """

    tau: float = 0.02
    beta: float = 0.999

    def __post_init__(self):
        require_number(self, tau=(0.0, 1.0), beta=(0.0, 1.0))
        require(self.beta < 1.0, self, "beta", "must be below 1.0", self.beta)

    def init(self, num_tasks: int) -> PCDState:
        """Initial state: empty averages."""
        return PCDState(jnp.zeros(num_tasks, float), jnp.zeros((), float))

    def weigh_gram(
        self, gram: jax.Array, state: PCDState, key: jax.Array
    ) -> tuple[jax.Array, PCDState]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`, and updates the averages."""
        check_square(gram)
        chex.assert_shape(state.squares, gram.shape[:1])
        gram = jax.lax.stop_gradient(gram)
        updated = self.update_average(jnp.diagonal(gram), state)
        finite = jnp.isfinite(gram).all()
        weights = pcd_weights(gram, updated.squares.astype(gram.dtype), self.tau)
        return jnp.where(finite, weights, jnp.nan), where_finite(finite, updated, state)

    def update_average(self, squares: jax.Array, state: PCDState) -> PCDState:
        """The state after one more step; the first step has rate 1."""
        total = self.beta * state.total + (1.0 - self.beta)
        rate = (1.0 - self.beta) / total
        change = squares.astype(state.squares.dtype) - state.squares
        return PCDState(state.squares + rate * change, total)


def pcd_weights(gram: jax.Array, squares: jax.Array, tau: float) -> jax.Array:
    """PCD's weights `[K]` for given averages of the squared norms, `[K]`."""
    nonzero = squares >= jnp.finfo(gram.dtype).tiny
    scales = jnp.where(nonzero, 1.0 / jnp.sqrt(jnp.where(nonzero, squares, 1.0)), 0.0)
    matrix = gram * scales[:, None] * scales[None, :]
    first = jnp.zeros_like(scales).at[0].set(1.0)
    weights = first + multipliers(matrix, tau)
    noise = matvec(jnp.sqrt(jnp.diagonal(matrix))[None], weights)[0] ** 2
    square = jnp.vdot(weights, matvec(matrix, weights), precision="highest")
    exists = square > 10 * jnp.finfo(gram.dtype).eps * noise
    factor = jnp.sqrt(gram[0, 0]) / jnp.sqrt(jnp.where(exists, square, 1.0))
    return jnp.where(exists, weights * scales * factor, 0.0)


def multipliers(matrix: jax.Array, tau: float) -> jax.Array:
    """Multipliers `[K]` of the constraints, 0 for the first; all 0 if they are contradictory."""
    others = jnp.ones_like(matrix[0]).at[0].set(0.0)
    constraints = matrix * others[:, None] * others[None, :]
    bounds = others * (tau * jnp.diagonal(matrix) - matrix[0])
    solution = solve_nonneg_qp(constraints, bounds)
    # If some rows sum to zero, the constraint violations sum to tau per row for any multipliers.
    # Otherwise the violations are only rounding error.
    violations = bounds - matvec(constraints, solution)
    tolerance = 0.5 * tau * jnp.diagonal(constraints)
    feasible = (violations <= tolerance).all() if tau > 0 else True
    return jnp.where(feasible, solution, 0.0)
