"""Krum: averages the gradients closest to their neighbors."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require, require_int
from mtl_jax.solvers.quadratic import check_square, normalize_gram


@dataclasses.dataclass(frozen=True)
class Krum(GramWeighting):
    """Krum and Multi-Krum: the mean of the m gradients with the lowest scores.

    The score of a gradient is the sum of its squared distances to its `K - f - 2` nearest
    neighbors (at least one). Designed for Byzantine workers, it drops outliers: a task unlike the
    rest is not trained. The paper requires `K > 2f + 2`; here at least one neighbor suffices, as
    in the reference code. The weights are 1/m or 0 and are invariant to scaling all gradients by
    the same factor. Distances are computed from G, so two gradients closer than `sqrt(epsilon)` of
    their norm are indistinguishable.

    Degenerate gradients: ties are broken by order, so for K = 2 the first gradient is selected, and
    if all are zero the first m; a zero gradient is a point like any other; for K = 1 the weight is
    1. A NaN or infinity in G makes all weights NaN. There is no gradient with respect to G. The
    reference weights all parameters; here the heads keep their own gradients.

    Attributes:
      num_byzantine: f, the number of arbitrary gradients to tolerate.
      num_selected: m, the number of gradients to average.

    Raises:
      BadInput: for a negative f, an m below 1, f greater than `K - 3`, or m greater than K.

    Reference: Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient
      Descent, NeurIPS 2017, Section 4 (https://arxiv.org/abs/1703.02757).
    """

    num_byzantine: int = 0
    num_selected: int = 1

    def __post_init__(self):
        require_int(self, num_byzantine=0, num_selected=1)

    def init(self, num_tasks: int) -> tuple[()]:
        """Initial state: empty."""
        max_byzantine = max(num_tasks - 3, 0)
        for field, bound in (("num_byzantine", max_byzantine), ("num_selected", num_tasks)):
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
        num_neighbors = max(len(gram) - self.num_byzantine - 2, 1)
        scores = krum_scores(jax.lax.stop_gradient(gram), num_neighbors)
        selected = scores.argsort()[: self.num_selected]
        weights = jnp.zeros_like(scores).at[selected].set(1.0 / self.num_selected)
        # NaN is sorted to the end, and would be silently dropped.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state


def krum_scores(gram: jax.Array, num_neighbors: int) -> jax.Array:
    """Sums `[K]` of squared distances to the nearest neighbors, up to a factor."""
    unit = normalize_gram(gram)
    squares = jnp.diagonal(unit)
    distances = jnp.maximum(squares[:, None] + squares[None, :] - 2.0 * unit, 0.0)
    off_diagonal = ~jnp.eye(len(gram), dtype=bool)
    sorted_distances = jnp.where(off_diagonal, distances, jnp.inf).sort(1)
    return sorted_distances[:, : min(num_neighbors, len(gram) - 1)].sum(1)
