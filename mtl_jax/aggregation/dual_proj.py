"""DualProj: project the mean gradient onto the directions that harm no task."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import check_preference, preferences
from mtl_jax.aggregation.upgrad import regularised
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import check_square, dual_cone


@dataclasses.dataclass(frozen=True)
class DualProj:
    """Dual cone projection of the weighted sum: `w = argmin v'Hv` over `v >= u`.

    `H = G / tr(G) + ridge I`. Among the vectors that have no negative inner product with any
    gradient, `J'w` is the closest to `J'u`, beyond the ridge; without conflict `w = u`. UPGrad
    projects each gradient instead, and adds up. The weights do not change if all gradients are
    scaled alike.

    The reference code takes tr(G) < 1e-4 for zero and then averages, which switches the method
    off near a stationary point. Here only a trace that is no normal number is zero.

    Degenerate gradients: a zero one, and all zero, keep `w = u`; opposed ones are projected to
    zero (up to the ridge); for K = 1 the weight is u. A NaN or an infinity in G makes all
    weights NaN. No gradient flows into G. The reference projects the newest task's gradient, of
    all parameters, onto what harms no older task; here all tasks are alike, and those of heads
    keep their own gradient.

    Attributes:
      ridge: added to the diagonal, relative to the trace.
      preference: u, one number for each task; None is `1/K` each.

    Raises:
      BadInput: for a negative ridge, a preference that is no tuple of numbers of at least 0, or
        one that has not K of them.

    Reference: Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS
      2017, Section 3 (https://arxiv.org/abs/1706.08840), as an aggregator in Quinton and Rey,
      Jacobian Descent for Multi-Objective Optimization, 2024
      (https://arxiv.org/abs/2406.16232).
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
        lower = jnp.array(preferences(self, len(gram)), gram.dtype)
        return dual_cone(regularised(jax.lax.stop_gradient(gram), self.ridge), lower), state
