"""Geometric median: the point with the least sum of distances to the gradients."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require_count
from mtl_jax.solvers.quadratic import check_square, product, unit_scale


@dataclasses.dataclass(frozen=True)
class GeometricMedian:
    """Robust aggregation: `d = argmin_d sum_i ||d - g_i||`, as `d = sum_i w_i g_i`.

    Weiszfeld's iteration from the mean, `w_i = r_i / sum_j r_j` with `r_i = 1 / ||d - g_i||`;
    the distances come from G alone, `||d - g_i||^2 = G_ii - 2 (Gw)_i + w'Gw`. A task whose
    gradient lies far from the others' has little say, and fewer than half of them cannot carry
    the median away. The weights sum to 1 and do not change if all gradients are scaled alike; d
    may conflict with a task. For two tasks every point between them is a median; this is the
    mean.

    Distances count as at least the root of epsilon times the longest gradient (the paper's
    smoothing, made relative), so d comes close to a gradient that is the median itself, and
    never divides by zero.

    Degenerate gradients: a zero one is a point like others; duplicates share their weight; all
    equal or all zero, 1/K each; of two opposed ones the mean, zero for equal lengths; for K = 1
    the weight is 1. A NaN or an infinity in G makes all weights NaN. No gradient flows into G.
    Heads keep their own gradient. The method is of distributed learning; tasks take the place
    of clients here.

    Attributes:
      steps: of Weiszfeld's iteration.

    Raises:
      BadInput: for a number of steps that is not whole or below 1.

    Reference: Pillutla, Kakade and Harchaoui, Robust Aggregation for Federated Learning, IEEE
      Transactions on Signal Processing 2022, the smoothed Weiszfeld algorithm
      (https://arxiv.org/abs/1912.13445).
    """

    steps: int = 32

    def __post_init__(self):
        require_count(self, steps=1)

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        unit = unit_scale(jax.lax.stop_gradient(gram))
        least = jnp.finfo(gram.dtype).eps

        def step(weights, _):
            inner = product(unit, weights)
            squares = jnp.diagonal(unit) - 2.0 * inner + jnp.vdot(weights, inner)
            # Only a comparison with NaN would hide it.
            closeness = jax.lax.rsqrt(jnp.where(squares < least, least, squares))
            return closeness / closeness.sum(), None

        even = jnp.full(len(gram), 1.0 / len(gram), gram.dtype)
        weights, _ = jax.lax.scan(step, even, length=self.steps)
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state
