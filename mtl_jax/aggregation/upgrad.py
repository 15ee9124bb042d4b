"""UPGrad: project each task's gradient onto the directions that harm no task, then add up."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import check_preference, preferences
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import check_square, dual_cone, unit_scale


@dataclasses.dataclass(frozen=True)
class UPGrad:
    """Unconflicting projection of gradients.

    `w = sum_i v_i`, where `v_i = argmin v'Hv` over `v >= u_i e_i`, with `H = G / tr(G) +
    ridge I`: each gradient is projected onto the cone of vectors that have no negative inner
    product with any gradient. `Hw >= 0`, so the sum conflicts with no task beyond the ridge.
    The weights do not change if all gradients are scaled alike; without conflict `w = u`.

    The reference code takes tr(G) < 1e-4 for zero and then averages, which switches the method
    off near a stationary point. Here only a trace that is no normal number is zero.

    Degenerate gradients: a zero one, and all zero, keep `w = u`; of two exactly opposed ones
    each is projected to zero (up to the ridge); for K = 1 the weight is u. A NaN or an infinity
    in G makes all weights NaN. No gradient flows into G. The reference weighs shared
    parameters; heads keep their own gradient.

    Attributes:
      ridge: added to the diagonal, relative to the trace.
      preference: u, one number for each task; None is `1/K` each.

    Raises:
      BadInput: for a negative ridge, a preference that is no tuple of numbers of at least 0, or
        one that has not K of them.

    Reference: Quinton and Rey, Jacobian Descent for Multi-Objective Optimization, 2024, Eq. 3
      and Proposition 1 (https://arxiv.org/abs/2406.16232).
    """

    ridge: float = 1e-4
    preference: tuple[float, ...] | None = None

    def __post_init__(self):
        require_number(self, ridge=(0.0, math.inf))
        check_preference(self)

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        preferences(self, num_tasks)
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        lower = jnp.diag(jnp.array(preferences(self, len(gram)), gram.dtype))
        matrix = regularised(jax.lax.stop_gradient(gram), self.ridge)
        return jax.vmap(dual_cone, (None, 0))(matrix, lower).sum(0), state


def regularised(gram: jax.Array, ridge: float) -> jax.Array:
    """`G / tr(G) + ridge I`; a zero G stays zero under the ridge."""
    unit = unit_scale(gram)  # The trace of a large float32 matrix may overflow.
    trace = jnp.trace(unit)
    return unit / jnp.where(trace == 0, 1.0, trace) + ridge * jnp.eye(len(gram), dtype=gram.dtype)
