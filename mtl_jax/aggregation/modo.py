"""MoDo: weights that track the min-norm combination using independent batches."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import CrossGramWeighting
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.convex import project_simplex
from mtl_jax.solvers.quadratic import check_square


@dataclasses.dataclass(frozen=True)
class MoDo(CrossGramWeighting):
    """Multi-objective gradient with double sampling: one projected step of w per call.

    `w_t = P(w_{t-1} - gamma (A w_{t-1} + rho
    w_{t-1}))`, with P the projection onto the simplex, `A_ij = <g_i,
    h_j>` of two independent batches and `w_0 = 1/K`. Since the batches are independent, `A
    w` is an unbiased gradient of `||sum_i w_i g_i||^2 / 2`, which that of a single batch is not.
    The gradient of a third batch is weighted by `w_t`, as in the authors' code with "three grads";
    Algorithm 1 uses w from before the step. The weights sum to 1 and depend on the scale of the
    gradients: gamma is in units of one over a squared norm. The combination may conflict with a
    task.

    Degenerate gradients: zero gradients lose weight only through rho; w is in the simplex for any
    finite A, and 1 for K = 1. A NaN or infinity in A makes all weights NaN, and w is unchanged.
    There is no gradient with respect to A. As in the reference, gradients of shared parameters are
    weighted; heads keep their own gradients (the reference divides them by three).

    Attributes:
      learning_rate: gamma; 0.001 in the authors' code.
      decay: rho, which pulls the weights towards each other.

    Raises:
      BadInput: for a negative number.

    Reference: Chen et al., Three-Way Trade-Off in Multi-Objective Learning: Optimization,
      Generalization and Conflict-Avoidance, NeurIPS 2023, Algorithm 1
      (https://arxiv.org/abs/2305.20057).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method, cross = aggregation.MoDo(learning_rate=0.1), jnp.diag(jnp.array([4.0, 1.0]))
      >>> weights, state = method.weigh_cross(cross, method.init(2), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.43, 0.57]
    """

    learning_rate: float = 0.001
    decay: float = 0.1

    def __post_init__(self):
        require_number(self, learning_rate=(0.0, math.inf), decay=(0.0, math.inf))

    def init(self, num_tasks: int) -> jax.Array:
        """Initial state: the weights, `1/K` each."""
        return jnp.full(num_tasks, 1.0 / num_tasks, float)

    def weigh_cross(
        self, cross: jax.Array, state: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Maps `A_ij = <g_i, h_j>` `[K, K]` to weights `[K]`, which are also the next state."""
        check_square(cross)
        chex.assert_shape(state, cross.shape[:1])
        matrix = jax.lax.stop_gradient(cross).astype(state.dtype)
        gradient = jnp.matmul(matrix, state, precision="highest") + self.decay * state
        weights = project_simplex(state - self.learning_rate * gradient)
        next_state = jnp.where(jnp.isfinite(weights).all(), weights, state)
        return weights.astype(cross.dtype), next_state
