"""IMTL-G: the combination with equal projections onto all gradients."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import GramWeighting
from mtl_jax.solvers.quadratic import (
    check_square,
    cosines,
    matvec,
    normalize_gram,
    pinv_solve,
    psd_eigh,
)


@dataclasses.dataclass(frozen=True)
class IMTLG(GramWeighting):
    """Impartial multi-task learning, gradient balance: `w = v / sum v`, `v = G^+ s`.

    With s the gradient norms, `Gv = s` means that d, the sum of the `v_i g_i`, has the same
    component along every `g_i / s_i`. The weights sum to 1 and are invariant to scaling all
    gradients by the same factor; some may be negative. For two tasks d bisects the angle between
    the gradients. For more tasks it conflicts with none as long as the sum of v is positive; if
    that sum is negative, the paper's normalization flips d against all of them.

    The paper states a linear system in differences of gradients, which is singular for linearly
    dependent gradients; the form above is its extension by Quinton and Rey. For independent
    gradients v is computed from their cosines, so that norms of any ratio are handled; the
    reference code solves with G and, in float32, loses gradients a thousand times smaller than the
    others.

    Degenerate gradients: a zero gradient gets weight 0 and imposes no constraint; duplicates share
    a weight; for dependent gradients the projections are equal in the least-squares sense, so that
    of two opposed gradients the larger wins, and for equal norms all weights are 0, as for all-zero
    gradients and wherever the sum of v is zero up to rounding; for K = 1 the weight is 1. A NaN or
    infinity in G makes all weights NaN. There is no gradient with respect to G. The reference
    weights the gradients of the representation or of the shared parameters; heads keep their own
    gradients.

    In float32 two gradients within about 0.001 radians of being parallel or opposed (in general
    those whose cosine matrix has an eigenvalue of at most `K epsilon` times the largest) are
    treated as dependent. There d is discontinuous: its norm jumps from `2 s_1 s_2 / (s_1 + s_2)` to
    `(s_1^2 + s_2^2) / (s_1 + s_2)` for parallel gradients, and d jumps from the bisector to the
    larger gradient for opposed ones. A gradient whose squared norm is not a normal floating-point
    number (a norm below 1e-19, or below 1e-19 times the largest) is treated as zero.

    Reference: Liu et al., Towards Impartial Multi-Task Learning, ICLR 2021, Section 3.1
      (https://openreview.net/forum?id=IMPnRXEWpvr), in the form of Quinton and Rey, Jacobian
      Descent for Multi-Objective Optimization, 2024 (https://arxiv.org/abs/2406.16232).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method, gram = aggregation.IMTLG(), jnp.array([[4.0, 0.0], [0.0, 1.0]])
      >>> weights, _ = method.weigh_gram(gram, (), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.33, 0.67]
    """

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        values = equal_projections(jax.lax.stop_gradient(gram))
        total, norm = values.sum(), jnp.abs(values).sum()
        zero = jnp.abs(total) <= 8 * len(gram) * jnp.finfo(gram.dtype).eps * norm
        weights = jnp.where(zero, 0.0, values / jnp.where(zero, 1.0, total))
        # Eigenvalues of a matrix that contains NaN are undefined.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state


def equal_projections(gram: jax.Array) -> jax.Array:
    """The weights v `[K]`, up to a positive factor."""
    cosine, norms = cosines(gram)
    nonzero = norms > 0
    # A zero row is decoupled, with norm 1 and a right-hand side of zero.
    matrix = cosine + jnp.diag(jnp.where(nonzero, 0.0, 1.0).astype(gram.dtype))
    spectrum = psd_eigh(matrix)
    components = matvec(spectrum.vectors.T, nonzero.astype(gram.dtype)) / spectrum.values
    independent = matvec(spectrum.vectors, components) / jnp.where(nonzero, norms, jnp.inf)
    dependent = pinv_solve(normalize_gram(gram), norms)
    return jnp.where(spectrum.nonzero.all(), independent, dependent)
