"""SDMGrad: a min-norm combination regularized towards a preferred direction."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import preferences, require_preference
from mtl_jax.core.balancing import CrossGramWeighting
from mtl_jax.core.validation import require_int, require_number
from mtl_jax.solvers.convex import project_simplex
from mtl_jax.solvers.quadratic import check_square


@dataclasses.dataclass(frozen=True)
class SDMGrad(CrossGramWeighting):
    """Direction-oriented gradient, `(sum_i w_i g_i + lambda sum_i p_i g_i) / (1 + lambda)`.

    w approximates `min ||sum_i (w_i + lambda p_i) g_i||^2 / 2` over the simplex: starting from w of
    the previous call, it takes some steps of `v = m v + A (w + lambda p)`, `w = P(w - r v)`, where
    v starts at zero, P projects onto the simplex and `A_ij = <g_i, h_j>` is computed from two
    independent batches and divided by the squared mean of the roots of its diagonal (with negative
    entries treated as 0). The weights are therefore invariant to scaling all gradients by the same
    factor; they sum to 1 if p does. A large lambda gives the preferred direction. The combination
    may conflict with a task: the steps are few and large, and do not converge.

    Differences from the authors' code: that code is meant to sample three batches but reuses a
    single one three times; here there are three, and the gradient of the third is weighted. It adds
    1e-8 to the divisor; here only a divisor of zero is replaced, by the largest entry of A.

    Degenerate gradients: if all are zero, w is unchanged; w is in the simplex for any finite A; for
    K = 1 the weight is `(1 + lambda p) / (1 + lambda)`. A NaN or infinity in A makes all weights
    NaN, and w is unchanged. There is no gradient with respect to A. As in the reference, only
    gradients of shared parameters are weighted; heads keep their own gradients.

    Attributes:
      strength: lambda; 0.3 in the authors' experiments.
      learning_rate: r, learning rate of the inner steps.
      momentum: m, momentum of the inner steps.
      steps: number of inner steps per call.
      preference: p, one number per task; None means `1/K` each.

    Raises:
      BadInput: for a number outside its range, a preference that is not a tuple of non-negative
        numbers, or one whose length is not K.

    Reference: Xiao, Ban and Ji, Direction-oriented Multi-objective Learning: Simple and Provable
      Stochastic Algorithms, NeurIPS 2023, Algorithm 1 (https://arxiv.org/abs/2305.18409).
    """

    strength: float = 0.3
    learning_rate: float = 10.0
    momentum: float = 0.5
    steps: int = 20
    preference: tuple[float, ...] | None = None

    def __post_init__(self):
        nonnegative = (0.0, math.inf)
        require_number(self, strength=nonnegative, learning_rate=nonnegative, momentum=(0.0, 1.0))
        require_int(self, steps=1)
        require_preference(self)

    def init(self, num_tasks: int) -> jax.Array:
        """Initial state: w, `1/K` each."""
        preferences(self, num_tasks)
        return jnp.full(num_tasks, 1.0 / num_tasks, float)

    def weigh_cross(
        self, cross: jax.Array, state: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Maps `A_ij = <g_i, h_j>` `[K, K]` to weights `[K]` and the next w."""
        check_square(cross)
        chex.assert_shape(state, cross.shape[:1])
        matrix = normalize_cross(jax.lax.stop_gradient(cross).astype(state.dtype))
        preference = self.strength * jnp.array(preferences(self, len(cross)), state.dtype)

        def step(carry, _):
            weights, velocity = carry
            gradient = jnp.matmul(matrix, weights + preference, precision="highest")
            velocity = self.momentum * velocity + gradient
            return (project_simplex(weights - self.learning_rate * velocity), velocity), None

        (weights, _), _ = jax.lax.scan(step, (state, jnp.zeros_like(state)), length=self.steps)
        next_state = jnp.where(jnp.isfinite(weights).all(), weights, state)
        return ((weights + preference) / (1.0 + self.strength)).astype(cross.dtype), next_state


def normalize_cross(cross: jax.Array) -> jax.Array:
    """Divides a matrix by the squared mean of the roots of its diagonal, without overflow."""
    largest = jnp.abs(cross).max()
    unit = cross / jnp.where(largest < jnp.finfo(cross.dtype).tiny, jnp.inf, largest)
    mean = jnp.sqrt(jnp.maximum(jnp.diagonal(unit), 0.0)).mean()
    return unit / jnp.where(mean > 0, mean, 1.0) / jnp.where(mean > 0, mean, 1.0)
