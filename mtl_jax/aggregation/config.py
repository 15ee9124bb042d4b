"""ConFIG: the direction at the same angle to all gradients, as long as they agree on it."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.solvers import check_square, cosines, product, pseudo_solve


@dataclasses.dataclass(frozen=True)
class ConFIG:
    """Conflict-free inverse gradient: `d = (sum_i <g_i, u>) u`, u the unit vector along `U^+ 1`.

    The rows of U are the gradients over their lengths s, so `U^+ 1 = sum_i x_i g_i / s_i` with
    `x = C^+ 1`, C the cosines. While the gradients are independent, d has a positive inner
    product with each of them, `Cx = 1`. The weights do not change if all gradients are scaled
    alike; some may be negative. Scaling one gradient changes the length of d, not its direction.

    Degenerate gradients: a zero one gets weight 0; duplicates share a weight; dependent ones
    may not allow equal angles, and d is then the least squares answer, which may conflict;
    opposed ones give zero weights, as all zero ones do; for K = 1 the weight is 1. A NaN or an
    infinity in G makes all weights NaN. No gradient flows into G. The reference weighs all
    parameters at once; here those of heads keep their own gradient.

    Reference: Liu, Chu and Thuerey, ConFIG: Towards Conflict-free Training of Physics Informed
      Neural Networks, ICLR 2025, Section 3.1 (https://arxiv.org/abs/2408.11104).
    """

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        weights = conflict_free(jax.lax.stop_gradient(gram))
        # Eigenvalues of a matrix with a NaN may be anything.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state


def conflict_free(gram: jax.Array) -> jax.Array:
    """Weights `[K]` of a finite Gram matrix."""
    cosine, lengths = cosines(gram)
    there = lengths > 0
    x = pseudo_solve(cosine, there.astype(gram.dtype))
    inner = product(cosine, x)
    square = jnp.vdot(x, inner, precision="highest")
    noise = 8 * len(gram) * jnp.finfo(gram.dtype).eps * jnp.abs(x).sum() ** 2
    some = square > noise
    agreed = jnp.vdot(lengths, inner, precision="highest") / jnp.where(some, square, 1.0)
    return jnp.where(some & there, agreed * x / jnp.where(there, lengths, 1.0), 0.0)
