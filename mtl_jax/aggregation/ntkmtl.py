"""NTKMTL: weigh each task by the inverse of its kernel's largest eigenvalue."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import check_square, unit_scale


@dataclasses.dataclass(frozen=True)
class NTKMTL:
    """Balance of convergence speeds: `w_i = (tr G / G_ii)^e`.

    The squared length of a task's gradient is the one eigenvalue of its neural tangent kernel
    when the whole batch counts as one example, as the authors' runs have it; the paper's
    general form has one gradient for each part of the batch. With e = 1/2 all gradients get the
    same length, that of the whole Jacobian. The weights are at least 1, do not change if all
    gradients are scaled alike, and may conflict with a task. The authors clip the combined
    gradient to norm 1 on top, which is left to the optimizer here.

    Degenerate gradients: a zero one gets weight 0 (all zero, zeros); opposed ones cancel for
    e = 1/2; for K = 1 the weight is 1. A NaN or an infinity in G makes all weights NaN. No
    gradient flows into G. The reference weighs shared parameters; heads keep their own gradient.

    Attributes:
      exponent: e, 1/2 in the paper, 3/4 in the authors' script for NYUv2.

    Raises:
      BadInput: for an exponent that is not between 0 and 1.

    Reference: Qin et al., NTKMTL: Mitigating Task Imbalance in Multi-Task Learning from Neural
      Tangent Kernel Perspective, NeurIPS 2025 (https://arxiv.org/abs/2510.18258), as run by
      the authors' code (https://github.com/jianke0604/NTKMTL).
    """

    exponent: float = 0.5

    def __post_init__(self):
        require_number(self, exponent=(0.0, 1.0))

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        squares = jnp.diagonal(unit_scale(jax.lax.stop_gradient(gram)))
        there = squares >= jnp.finfo(gram.dtype).tiny
        ratio = squares.sum() / jnp.where(there, squares, 1.0)
        weights = jnp.where(there, ratio**self.exponent, 0.0)
        # The other inner products do not matter, but a NaN among them is still no gradient.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state
