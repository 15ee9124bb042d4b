"""IMTL-G: the combination whose projections on all gradients are equally long."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.solvers.quadratic import (
    check_square,
    cosines,
    eigen,
    product,
    pseudo_solve,
    unit_scale,
)


@dataclasses.dataclass(frozen=True)
class IMTLG:
    """Impartial multi-task learning, gradient balance: `w = v / sum v`, `v = G^+ s`.

    With s the lengths of the gradients, `Gv = s` says that d, the sum of the `v_i g_i`, has the
    same component along every `g_i / s_i`. The weights sum to 1 and do not change if all
    gradients are scaled alike; some may be negative. For two tasks d bisects the angle between
    the gradients. For more it conflicts with none as long as the sum of v is positive; if that
    is negative, the paper's scaling turns d against all of them.

    The paper writes a linear system in differences of gradients, which is singular for
    dependent ones; the form above is its extension to them by Quinton and Rey. While the
    gradients are independent, v comes from their cosines, so that lengths of any ratio do no
    harm; the reference code solves with G and loses gradients a thousand times shorter than
    others in float32.

    Degenerate gradients: a zero one gets weight 0 and does not bind the others; duplicates
    share a weight; among dependent ones the projections are as equal as least squares makes
    them, so that of two opposed ones the longer wins, and for equal lengths all weights are 0,
    as for all zero and wherever the sum of v is zero up to rounding; for K = 1 the weight is 1.
    A NaN or an infinity in G makes all weights NaN. No gradient flows into G. The reference
    weighs the gradients of the representation or of the shared parameters; heads keep their own.

    In float32 two gradients less than about 0.001 radians from parallel or opposed (in general
    those whose cosines have an eigenvalue of at most `K epsilon` of the largest) count as
    dependent. There d jumps: from `2 s_1 s_2 / (s_1 + s_2)` long to `(s_1^2 + s_2^2) / (s_1 +
    s_2)` for parallel ones, from the bisector to the longer one for opposed ones. A gradient
    whose square is no normal number (a length below 1e-19, or 1e-19 of the longest one) counts
    as zero.

    Reference: Liu et al., Towards Impartial Multi-Task Learning, ICLR 2021, Section 3.1
      (https://openreview.net/forum?id=IMPnRXEWpvr), in the form of Quinton and Rey, Jacobian
      Descent for Multi-Objective Optimization, 2024 (https://arxiv.org/abs/2406.16232).
    """

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        values = equal_projections(jax.lax.stop_gradient(gram))
        total, size = values.sum(), jnp.abs(values).sum()
        flat = jnp.abs(total) <= 8 * len(gram) * jnp.finfo(gram.dtype).eps * size
        weights = jnp.where(flat, 0.0, values / jnp.where(flat, 1.0, total))
        # Eigenvalues of a matrix with a NaN may be anything.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state


def equal_projections(gram: jax.Array) -> jax.Array:
    """The weights v `[K]`, up to a positive factor."""
    cosine, lengths = cosines(gram)
    there = lengths > 0
    # A zero row stands apart, of length 1, and asks for nothing.
    apart = cosine + jnp.diag(jnp.where(there, 0.0, 1.0).astype(gram.dtype))
    spectrum = eigen(apart)
    angles = product(spectrum.vectors.T, there.astype(gram.dtype)) / spectrum.values
    independent = product(spectrum.vectors, angles) / jnp.where(there, lengths, jnp.inf)
    dependent = pseudo_solve(unit_scale(gram), lengths)
    return jnp.where(spectrum.kept.all(), independent, dependent)
