"""DualProj: projects the mean gradient onto the cone of non-conflicting directions."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import preferences, require_preference
from mtl_jax.aggregation.upgrad import regularize
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import check_square, project_dual_cone


@dataclasses.dataclass(frozen=True)
class DualProj(GramWeighting):
    """Dual cone projection of the weighted sum: `w = argmin v'Hv` over `v >= u`.

    `H = G / tr(G) + ridge I`. Among the vectors whose inner products with all gradients are
    non-negative, `J'w` is the closest to `J'u`, up to the ridge; without conflict `w = u`. UPGrad
    instead projects each gradient and sums the projections. The weights are invariant to scaling
    all gradients by the same factor.

    The reference code treats tr(G) < 1e-4 as zero and then averages, which disables the method near
    a stationary point. Here the trace is zero only if it is not a normal floating-point number.

    Degenerate gradients: a zero gradient keeps its weight u, and if all are zero, `w = u`; opposed
    gradients are projected to zero (up to the ridge); for K = 1 the weight is u. A NaN or infinity
    in G makes all weights NaN. There is no gradient with respect to G. The reference projects the
    newest task's gradient of all parameters onto the directions that do not harm older tasks; here
    all tasks are treated symmetrically, and the heads keep their own gradients.

    Attributes:
      ridge: added to the diagonal, relative to the trace.
      preference: u, one number per task; None means `1/K` each.

    Raises:
      BadInput: for a negative ridge, a preference that is not a tuple of non-negative numbers, or
        one whose length is not K.

    Reference: Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS
      2017, Section 3 (https://arxiv.org/abs/1706.08840), as an aggregator in Quinton and Rey,
      Jacobian Descent for Multi-Objective Optimization, 2024
      (https://arxiv.org/abs/2406.16232).
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
        lower = jnp.array(preferences(self, len(gram)), gram.dtype)
        return project_dual_cone(regularize(jax.lax.stop_gradient(gram), self.ridge), lower), state
