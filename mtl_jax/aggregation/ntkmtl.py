"""NTKMTL: weights each task by the inverse of its kernel's largest eigenvalue."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import check_square, normalize_gram


@dataclasses.dataclass(frozen=True)
class NTKMTL(GramWeighting):
    """Balances convergence speeds, `w_i = (tr G / G_ii)^e`.

    The squared norm of a task's gradient is the only eigenvalue of its neural tangent kernel if the
    whole batch is treated as one example, as in the authors' runs; the paper's general form has one
    gradient for each part of the batch. With e = 1/2 all gradients get the same norm, that of the
    whole Jacobian. The weights are at least 1 and invariant to scaling all gradients by the same
    factor; the combination may conflict with a task. The authors also clip the combined gradient to
    norm 1, which is left to the optimizer here.

    Degenerate gradients: a zero gradient gets weight 0 (if all are zero, all weights are 0);
    opposed gradients cancel for e = 1/2; for K = 1 the weight is 1. A NaN or infinity in G makes
    all weights NaN. There is no gradient with respect to G. As in the reference, only gradients of
    shared parameters are weighted; heads keep their own gradients.

    Attributes:
      exponent: e; 1/2 in the paper, 3/4 in the authors' script for NYUv2.

    Raises:
      BadInput: for an exponent outside [0, 1].

    Reference: Qin et al., NTKMTL: Mitigating Task Imbalance in Multi-Task Learning from Neural
      Tangent Kernel Perspective, NeurIPS 2025 (https://arxiv.org/abs/2510.18258), as run by
      the authors' code (https://github.com/jianke0604/NTKMTL).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method, gram = aggregation.NTKMTL(), jnp.array([[4.0, 0.0], [0.0, 1.0]])
      >>> weights, _ = method.weigh_gram(gram, (), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [1.12, 2.24]
    """

    exponent: float = 0.5

    def __post_init__(self):
        require_number(self, exponent=(0.0, 1.0))

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        check_square(gram)
        squares = jnp.diagonal(normalize_gram(jax.lax.stop_gradient(gram)))
        nonzero = squares >= jnp.finfo(gram.dtype).tiny
        ratio = squares.sum() / jnp.where(nonzero, squares, 1.0)
        weights = jnp.where(nonzero, ratio**self.exponent, 0.0)
        # The off-diagonal entries are unused, but a NaN among them still makes the result NaN.
        return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan), state
