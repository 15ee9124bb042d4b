"""Krum: follow the gradients that lie closest to their neighbours."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_count
from mtl_jax.solvers.quadratic import check_square, unit_scale


@dataclasses.dataclass(frozen=True)
class Krum:
    """Krum and Multi-Krum: the mean of the m gradients of lowest score.

    The score of a gradient is the sum of its squared distances to the `K - f - 2` others that
    are nearest to it (at least one). Meant for workers that may lie, it drops outliers: a task
    unlike the rest is not trained. The paper asks for `K > 2f + 2`; here it is enough that a
    neighbour is left, as in the reference code. The weights are 1/m or 0 and do not change if
    all gradients are scaled alike. Distances come from G, so that two gradients closer than
    `sqrt(epsilon)` of their length are as good as equal.

    Degenerate gradients: among equal scores the first wins, so for K = 2 the first gradient,
    and of all zero ones the first m; a zero one is a point like others; for K = 1 the weight is
    1. A NaN or an infinity in G makes all weights NaN. No gradient flows into G. The reference
    weighs all parameters; here those of heads keep their own gradient.

    Attributes:
      num_byzantine: f, gradients that may be anything.
      num_selected: m, gradients to average.

    Raises:
      BadInput: for a negative f, an m below 1, f of more than `K - 3`, or m of more than K.

    Reference: Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient
      Descent, NeurIPS 2017, Section 4 (https://arxiv.org/abs/1703.02757).
    """

    num_byzantine: int = 0
    num_selected: int = 1

    def __post_init__(self):
        require_count(self, num_byzantine=0, num_selected=1)

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        most = max(num_tasks - 3, 0)
        for field, bound in (("num_byzantine", most), ("num_selected", num_tasks)):
            value = getattr(self, field)
            rule = f"must be at most {bound} for {num_tasks} tasks"
            require(value <= bound, self, field, rule, value)
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        self.init(len(gram))
        near = max(len(gram) - self.num_byzantine - 2, 1)
        score = scores(jax.lax.stop_gradient(gram), near)
        weights = (
            jnp.zeros_like(score)
            .at[score.argsort()[: self.num_selected]]
            .set(1.0 / self.num_selected)
        )
        # A NaN is sorted to the end, and so would only be left out.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state


def scores(gram: jax.Array, near: int) -> jax.Array:
    """Sums `[K]` of squared distances to the nearest others, up to a factor."""
    unit = unit_scale(gram)
    squares = jnp.diagonal(unit)
    distances = jnp.maximum(squares[:, None] + squares[None, :] - 2.0 * unit, 0.0)
    others = ~jnp.eye(len(gram), dtype=bool)
    nearest = jnp.where(others, distances, jnp.inf).sort(1)[:, : min(near, len(gram) - 1)]
    return nearest.sum(1)
