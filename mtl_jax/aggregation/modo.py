"""MoDo: weights that follow the shortest combination slowly, by two independent batches."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require_number
from mtl_jax.solvers.convex import project_simplex
from mtl_jax.solvers.quadratic import check_square


@dataclasses.dataclass(frozen=True)
class MoDo:
    """Multi-objective gradient with double sampling: one projected step of w at each call.

    `w_t = P(w_{t-1} - gamma (A w_{t-1} + rho w_{t-1}))`, with P the projection onto the simplex,
    `A_ij = <g_i, h_j>` of two independent batches and `w_0 = 1/K`. Since the batches are
    independent, `A w` is an unbiased slope of `||sum_i w_i g_i||^2 / 2`, which that of one batch
    is not. The gradient of a third batch is weighted by `w_t`, as in the authors' code with
    "three grads"; Algorithm 1 takes w from before the step. The weights sum to 1, and do depend
    on the gradients' scale: gamma is a rate in units of one over a squared length. Nothing is
    promised of conflict.

    Degenerate gradients: zero ones lose weight by nothing but rho; w is in the simplex for any
    finite A, and 1 for K = 1. A NaN or an infinity in A makes all weights NaN, and w stays as it
    was. No gradient flows into A. The reference weighs shared parameters (heads it divides by
    three); heads keep their own gradient here.

    Attributes:
      learning_rate: gamma, 0.001 in the authors' code.
      decay: rho, which draws the weights together.

    Raises:
      BadInput: for a number below 0.

    Reference: Chen et al., Three-Way Trade-Off in Multi-Objective Learning: Optimization,
      Generalization and Conflict-Avoidance, NeurIPS 2023, Algorithm 1
      (https://arxiv.org/abs/2305.20057).
    """

    learning_rate: float = 0.001
    decay: float = 0.1

    def __post_init__(self):
        require_number(self, learning_rate=(0.0, math.inf), decay=(0.0, math.inf))

    def init(self, num_tasks: int) -> jax.Array:
        """State before the first step: the weights, `1/K` each."""
        return jnp.full(num_tasks, 1.0 / num_tasks, float)

    def weigh_cross(
        self, cross: jax.Array, state: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Maps `A_ij = <g_i, h_j>` `[K, K]` to weights `[K]`, which are the state too."""
        check_square(cross)
        chex.assert_shape(state, cross.shape[:1])
        matrix = jax.lax.stop_gradient(cross).astype(state.dtype)
        slope = jnp.matmul(matrix, state, precision="highest") + self.decay * state
        weights = project_simplex(state - self.learning_rate * slope)
        kept = jnp.where(jnp.isfinite(weights).all(), weights, state)
        return weights.astype(cross.dtype), kept
