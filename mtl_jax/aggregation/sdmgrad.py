"""SDMGrad: the shortest combination near a preferred direction, by two independent batches."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import check_preference, preferences
from mtl_jax.core.validation import require_count, require_number
from mtl_jax.solvers.convex import project_simplex
from mtl_jax.solvers.quadratic import check_square


@dataclasses.dataclass(frozen=True)
class SDMGrad:
    """Direction-oriented gradient: `(sum_i w_i g_i + lambda sum_i p_i g_i) / (1 + lambda)`.

    w follows `min ||sum_i (w_i + lambda p_i) g_i||^2 / 2` over the simplex: from the w of the
    last call, some steps of `v = m v + A (w + lambda p)`, `w = P(w - r v)`, where v starts at
    zero, P projects onto the simplex and `A_ij = <g_i, h_j>` is of two independent batches,
    over the squared mean of the roots of its diagonal (its negative entries counted as 0). So
    the weights do not change if all gradients are scaled alike; they sum to 1 if p does. A large
    lambda gives the preferred direction. Nothing is promised of conflict: the steps are few and
    long, and do not settle.

    Departures: the authors' code means to draw three batches but keeps one three times over;
    here they are three, and the third one's gradient is weighted. It adds 1e-8 to the divisor;
    here only a divisor of zero is replaced, by the largest entry of A.

    Degenerate gradients: all zero leave w as it was; w is in the simplex for any finite A; for
    K = 1 the weight is `(1 + lambda p) / (1 + lambda)`. A NaN or an infinity in A makes all
    weights NaN, and w stays as it was. No gradient flows into A. The reference weighs shared
    parameters; heads keep their own gradient.

    Attributes:
      strength: lambda; 0.3 in the authors' runs.
      learning_rate: r, of the inner steps.
      momentum: m, of the inner steps.
      steps: how many of them at each call.
      preference: p, one number for each task; None is `1/K` each.

    Raises:
      BadInput: for a number outside its range, a preference that is no tuple of numbers of at
        least 0, or one that has not K of them.

    Reference: Xiao, Ban and Ji, Direction-oriented Multi-objective Learning: Simple and Provable
      Stochastic Algorithms, NeurIPS 2023, Algorithm 1 (https://arxiv.org/abs/2305.18409).
    """

    strength: float = 0.3
    learning_rate: float = 10.0
    momentum: float = 0.5
    steps: int = 20
    preference: tuple[float, ...] | None = None

    def __post_init__(self):
        positive = (0.0, math.inf)
        require_number(self, strength=positive, learning_rate=positive, momentum=(0.0, 1.0))
        require_count(self, steps=1)
        check_preference(self)

    def init(self, num_tasks: int) -> jax.Array:
        """State before the first step: w, `1/K` each."""
        preferences(self, num_tasks)
        return jnp.full(num_tasks, 1.0 / num_tasks, float)

    def weigh_cross(
        self, cross: jax.Array, state: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Maps `A_ij = <g_i, h_j>` `[K, K]` to weights `[K]` and the next w."""
        check_square(cross)
        chex.assert_shape(state, cross.shape[:1])
        matrix = cross_scale(jax.lax.stop_gradient(cross).astype(state.dtype))
        pull = self.strength * jnp.array(preferences(self, len(cross)), state.dtype)

        def step(now, _):
            weights, speed = now
            slope = jnp.matmul(matrix, weights + pull, precision="highest")
            speed = self.momentum * speed + slope
            return (project_simplex(weights - self.learning_rate * speed), speed), None

        (weights, _), _ = jax.lax.scan(step, (state, jnp.zeros_like(state)), length=self.steps)
        kept = jnp.where(jnp.isfinite(weights).all(), weights, state)
        return ((weights + pull) / (1.0 + self.strength)).astype(cross.dtype), kept


def cross_scale(cross: jax.Array) -> jax.Array:
    """A matrix over the squared mean of the roots of its diagonal, so that nothing overflows."""
    largest = jnp.abs(cross).max()
    unit = cross / jnp.where(largest < jnp.finfo(cross.dtype).tiny, jnp.inf, largest)
    mean = jnp.sqrt(jnp.maximum(jnp.diagonal(unit), 0.0)).mean()
    return unit / jnp.where(mean > 0, mean, 1.0) / jnp.where(mean > 0, mean, 1.0)
