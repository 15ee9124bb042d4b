"""Geometric median: the point with the smallest sum of distances to the gradients."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require_int
from mtl_jax.solvers.quadratic import check_square, matvec, normalize_gram


@dataclasses.dataclass(frozen=True)
class GeometricMedian(GramWeighting):
    """Robust aggregation: `d = argmin_d sum_i ||d - g_i||`, as `d = sum_i w_i g_i`.

    Weiszfeld's iteration from the mean, `w_i = r_i / sum_j r_j` with `r_i = 1 / ||d - g_i||`; the
    distances are computed from G alone, `||d - g_i||^2 = G_ii - 2 (Gw)_i + w'Gw`. A task whose
    gradient is far from the others has little influence, and fewer than half of the tasks cannot
    move the median arbitrarily far. The weights sum to 1 and are invariant to scaling all gradients
    by the same factor; d may conflict with a task. For two tasks every point between them is a
    median; this method returns the mean.

    Distances are bounded below by the square root of epsilon times the largest gradient norm (the
    paper's smoothing, made relative), so d comes close to a gradient that is itself the median,
    without division by zero.

    Degenerate gradients: a zero gradient is a point like any other; duplicates share their weight;
    if all are equal or zero, 1/K each; for two opposed gradients the mean, which is zero for equal
    norms; for K = 1 the weight is 1. A NaN or infinity in G makes all weights NaN. There is no
    gradient with respect to G. Heads keep their own gradients. The method comes from distributed
    learning; here tasks replace clients.

    Attributes:
      steps: number of Weiszfeld iterations.

    Raises:
      BadInput: if the number of steps is not an integer of at least 1.

    Reference: Pillutla, Kakade and Harchaoui, Robust Aggregation for Federated Learning, IEEE
      Transactions on Signal Processing 2022, the smoothed Weiszfeld algorithm
      (https://arxiv.org/abs/1912.13445).
    """

    steps: int = 32

    def __post_init__(self):
        require_int(self, steps=1)

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        unit = normalize_gram(jax.lax.stop_gradient(gram))
        epsilon = jnp.finfo(gram.dtype).eps

        def step(weights, _):
            inner = matvec(unit, weights)
            squares = jnp.diagonal(unit) - 2.0 * inner + jnp.vdot(weights, inner)
            # Only a comparison with NaN would hide it.
            inverse = jax.lax.rsqrt(jnp.where(squares < epsilon, epsilon, squares))
            return inverse / inverse.sum(), None

        uniform = jnp.full(len(gram), 1.0 / len(gram), gram.dtype)
        weights, _ = jax.lax.scan(step, uniform, length=self.steps)
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state
