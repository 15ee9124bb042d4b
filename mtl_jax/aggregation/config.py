"""ConFIG: the direction with equal angles to all gradients, scaled by their agreement."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.preference import preferences, require_preference
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.solvers.quadratic import check_square, cosines, matvec, psd_eigh


@dataclasses.dataclass(frozen=True)
class ConFIG(GramWeighting):
    """Conflict-free inverse gradient: `d = (sum_i <g_i, u>) u`, u the unit vector along `U^+ p`.

    The rows of U are the gradients divided by their norms s, so `U^+ p = sum_i x_i g_i / s_i` with
    `x = C^+ p` and C the matrix of cosines. For linearly independent gradients the cosines between
    d and the gradients are proportional to the preferences p, `Cx = p`: all equal by default. The
    weights are invariant to scaling all gradients by the same factor; some may be negative. Scaling
    a single gradient changes the norm of d, not its direction.

    Degenerate gradients: a zero gradient gets weight 0; duplicates share a weight; linearly
    dependent gradients may not admit such angles, in which case d is the least-squares solution,
    which may conflict; opposed gradients (with equal preferences), gradients whose unit vectors sum
    to zero, and all-zero gradients give zero weights; for K = 1 the weight is 1. A NaN or infinity
    in G makes all weights NaN. There is no gradient with respect to G. The reference weights all
    parameters jointly; here the heads keep their own gradients.

    In float32 cosines are accurate to about 1e-7: two gradients within about 0.0028 radians of
    being opposed are treated as opposed, and just above that angle d is off by about one percent. A
    gradient whose squared norm is not a normal floating-point number (a norm below 1e-19, or below
    1e-19 times the largest) is treated as zero.

    Attributes:
      preference: p, one number per task; None means 1 each.

    Raises:
      BadInput: for a preference that is not a tuple of non-negative numbers, not all 0, or one
        whose length is not K.

    Reference: Liu, Chu and Thuerey, ConFIG: Towards Conflict-free Training of Physics Informed
      Neural Networks, ICLR 2025, Section 3.1 (https://arxiv.org/abs/2408.11104).
    """

    preference: tuple[float, ...] | None = None

    def __post_init__(self):
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
        targets = (1.0,) * len(gram) if self.preference is None else preferences(self, len(gram))
        weights = config_weights(jax.lax.stop_gradient(gram), jnp.array(targets, gram.dtype))
        # Eigenvalues of a matrix that contains NaN are undefined.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state


def config_weights(gram: jax.Array, targets: jax.Array) -> jax.Array:
    """Weights `[K]` for a finite Gram matrix and target cosines `[K]` up to a factor."""
    cosine, norms = cosines(gram)
    nonzero = norms > 0
    x = denoised_pinv_solve(cosine, jnp.where(nonzero, targets, 0.0))
    inner = matvec(cosine, x)
    square = jnp.vdot(x, inner, precision="highest")
    noise = 8 * len(gram) * jnp.finfo(gram.dtype).eps * jnp.abs(x).sum() ** 2
    exists = square > noise
    scale = jnp.vdot(norms, inner, precision="highest") / jnp.where(exists, square, 1.0)
    return jnp.where(exists & nonzero, scale * x / jnp.where(nonzero, norms, 1.0), 0.0)


def denoised_pinv_solve(cosine: jax.Array, targets: jax.Array) -> jax.Array:
    """Computes `C^+ p` without components that are only rounding error.

    An eigenvector v with eigenvalue l has an error of about `epsilon max l / l` along the null
    space, if there is one. Where `v'p` is no larger than that, C carries no information about p
    along v: for gradients whose unit vectors sum to zero, the vector of ones is in the null space
    and `C^+ 1` is pure rounding error.
    """
    spectrum = psd_eigh(cosine)
    components = matvec(spectrum.vectors.T, targets)
    noise = len(targets) * jnp.finfo(targets.dtype).eps * spectrum.values[-1]
    significant = jnp.abs(components) * spectrum.values > 8 * noise * jnp.abs(targets).max()
    selected = spectrum.nonzero & (spectrum.nonzero.all() | significant)
    inverse = jnp.where(selected, 1.0 / jnp.where(selected, spectrum.values, 1.0), 0.0)
    return matvec(spectrum.vectors, inverse * components)
