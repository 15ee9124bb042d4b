"""ConFIG: the direction at the same angle to all gradients, as long as they agree on it."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import check_preference, preferences
from mtl_jax.solvers.quadratic import check_square, cosines, eigen, product


@dataclasses.dataclass(frozen=True)
class ConFIG:
    """Conflict-free inverse gradient: `d = (sum_i <g_i, u>) u`, u the unit vector along `U^+ p`.

    The rows of U are the gradients over their lengths s, so `U^+ p = sum_i x_i g_i / s_i` with
    `x = C^+ p`, C the cosines. While the gradients are independent, the cosines between d and
    them are as the preferences p, `Cx = p`: all equal, unless p says otherwise. The weights do
    not change if all gradients are scaled alike; some may be negative. Scaling one gradient
    changes the length of d, not its direction.

    Degenerate gradients: a zero one gets weight 0; duplicates share a weight; dependent ones
    may not allow such angles, and d is then the least squares answer, which may conflict;
    opposed ones give zero weights (if equally preferred), and so do those whose unit vectors
    add up to zero, and all zero ones; for K = 1 the weight is 1. A NaN or an infinity in G
    makes all weights NaN. No gradient flows into G. The reference weighs all parameters at
    once; here those of heads keep their own gradient.

    In float32 cosines are known to some 1e-7: two gradients less than about 0.0028 radians from
    opposed count as opposed, and just above that d is off by a percent. A gradient whose square
    is no normal number (a length below 1e-19, or 1e-19 of the longest one) counts as zero.

    Attributes:
      preference: p, one number for each task; None is 1 each.

    Raises:
      BadInput: for a preference that is no tuple of numbers of at least 0, not all 0, or one that
        has not K of them.

    Reference: Liu, Chu and Thuerey, ConFIG: Towards Conflict-free Training of Physics Informed
      Neural Networks, ICLR 2025, Section 3.1 (https://arxiv.org/abs/2408.11104).
    """

    preference: tuple[float, ...] | None = None

    def __post_init__(self):
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
        wanted = (1.0,) * len(gram) if self.preference is None else preferences(self, len(gram))
        weights = conflict_free(jax.lax.stop_gradient(gram), jnp.array(wanted, gram.dtype))
        # Eigenvalues of a matrix with a NaN may be anything.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state


def conflict_free(gram: jax.Array, wanted: jax.Array) -> jax.Array:
    """Weights `[K]` of a finite Gram matrix, for cosines `[K]` up to a factor."""
    cosine, lengths = cosines(gram)
    there = lengths > 0
    x = agreeing_solve(cosine, jnp.where(there, wanted, 0.0))
    inner = product(cosine, x)
    square = jnp.vdot(x, inner, precision="highest")
    noise = 8 * len(gram) * jnp.finfo(gram.dtype).eps * jnp.abs(x).sum() ** 2
    some = square > noise
    agreed = jnp.vdot(lengths, inner, precision="highest") / jnp.where(some, square, 1.0)
    return jnp.where(some & there, agreed * x / jnp.where(there, lengths, 1.0), 0.0)


def agreeing_solve(cosine: jax.Array, wanted: jax.Array) -> jax.Array:
    """`C^+ p` without what is only rounding.

    An eigenvector v of eigenvalue l is off by about `epsilon max l / l` along those of zero, if
    there are any. Where `v'p` is no larger than that, C says nothing of p along v: of gradients
    whose unit vectors add up to zero, 1 is an eigenvector of zero, and `C^+ 1` is all rounding.
    """
    spectrum = eigen(cosine)
    along = product(spectrum.vectors.T, wanted)
    top = len(wanted) * jnp.finfo(wanted.dtype).eps * spectrum.values[-1]
    sure = jnp.abs(along) * spectrum.values > 8 * top * jnp.abs(wanted).max()
    told = spectrum.kept & (spectrum.kept.all() | sure)
    inverse = jnp.where(told, 1.0 / jnp.where(told, spectrum.values, 1.0), 0.0)
    return product(spectrum.vectors, inverse * along)
