"""UPGrad: projects each task's gradient onto the cone of non-conflicting directions and sums."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import preferences, require_preference
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import check_square, normalize_gram, project_dual_cone


@dataclasses.dataclass(frozen=True)
class UPGrad(GramWeighting):
    """Unconflicting projection of gradients.

    `w = sum_i v_i`, where `v_i = argmin v'Hv` over `v >= u_i e_i`, with `H = G / tr(G) + ridge I`:
    each gradient is projected onto the cone of vectors whose inner products with all gradients are
    non-negative. `Hw >= 0`, so the sum conflicts with no task beyond the ridge. The weights are
    invariant to scaling all gradients by the same factor; without conflict `w = u`.

    The reference code treats tr(G) < 1e-4 as zero and then averages, which disables the method near
    a stationary point. Here the trace is zero only if it is not a normal floating-point number.

    Degenerate gradients: a zero gradient keeps its weight u, and if all are zero, `w = u`; two
    exactly opposed gradients are each projected to zero (up to the ridge); for K = 1 the weight is
    u. A NaN or infinity in G makes all weights NaN. There is no gradient with respect to G. As in
    the reference, only gradients of shared parameters are weighted; heads keep their own gradients.

    Attributes:
      ridge: added to the diagonal, relative to the trace.
      preference: u, one number per task; None means `1/K` each.

    Raises:
      BadInput: for a negative ridge, a preference that is not a tuple of non-negative numbers, or
        one whose length is not K.

    Reference: Quinton and Rey, Jacobian Descent for Multi-Objective Optimization, 2024, Eq. 3
      and Proposition 1 (https://arxiv.org/abs/2406.16232).
    """

    ridge: float = 1e-4
    preference: tuple[float, ...] | None = None

    def __post_init__(self):
        require_number(self, ridge=(0.0, math.inf))
        require_preference(self)

    def init(self, num_tasks: int) -> tuple[()]:
        """Initial state: empty."""
        preferences(self, num_tasks)
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        lower = jnp.diag(jnp.array(preferences(self, len(gram)), gram.dtype))
        matrix = regularize(jax.lax.stop_gradient(gram), self.ridge)
        return jax.vmap(project_dual_cone, (None, 0))(matrix, lower).sum(0), state


def regularize(gram: jax.Array, ridge: float) -> jax.Array:
    """`G / tr(G) + ridge I`; a zero G stays zero under the ridge."""
    unit = normalize_gram(gram)  # The trace of a large float32 matrix may overflow.
    trace = jnp.trace(unit)
    return unit / jnp.where(trace == 0, 1.0, trace) + ridge * jnp.eye(len(gram), dtype=gram.dtype)
