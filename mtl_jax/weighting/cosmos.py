"""COSMOS: the weighted sum of the losses, and how well their ratio fits the weights."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require_number
from mtl_jax.weighting.per_task import per_task, require_fit, require_shares


@dataclasses.dataclass(frozen=True)
class COSMOS:
    """The derivatives of `r'L - c cos(r, L)`, with the cosine of the angle between r and L.

    The second term pulls the losses onto the ray r, so that task i comes to a *larger* loss
    where r_i is large, while the first term weighs it more. It can make weights negative: it
    raises losses that are too small for the ray. If all losses scale by a, the second term's
    part of the weights scales by 1/a, so c is in the unit of the losses. If all losses are 0 the
    weights are r. K = 1: r. NaN losses make all weights NaN. The weights are constants to
    differentiation. The paper also feeds r to the network, a new one for each batch; here r is
    fixed.

    Attributes:
      sharpness: c, the paper's lambda.
      weights: r, one for each task; None is 1/K each.

    Raises:
      BadInput: for a negative sharpness, weights that are no tuple of numbers of at least 0, are
        all 0, or are not K.

    Reference: Ruchte and Grabocka, Scalable Pareto Front Approximation for Deep Multi-Objective
      Learning, ICDM 2021 (https://arxiv.org/abs/2103.13392).
    """

    sharpness: float = 1.0
    weights: tuple[float, ...] | None = None

    def __post_init__(self):
        require_number(self, sharpness=(0.0, math.inf))
        require_shares(self, "weights")

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        require_fit(self, "weights", num_tasks)
        return ()

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`."""
        losses = jax.lax.stop_gradient(losses)
        share = per_task(self, "weights", losses, 1.0 / losses.size)
        return jax.grad(cosmos_value)(losses, share, self.sharpness), state


def cosmos_value(losses: jax.Array, weights: jax.Array, sharpness: float | jax.Array) -> jax.Array:
    """The value `r'L - c cos(r, L)`; the cosine with zero losses is 0.

    Args:
      losses: L, `[K]`.
      weights: r, `[K]`, not all 0.
      sharpness: c.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: for another shape or dtype, when traced.

    Reference: Ruchte and Grabocka, Scalable Pareto Front Approximation for Deep Multi-Objective
      Learning, ICDM 2021 (https://arxiv.org/abs/2103.13392).
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, weights])
    chex.assert_type([losses, weights], float)
    return (weights * losses).sum() - sharpness * (unit(weights) * unit(losses)).sum()


def unit(vector: jax.Array) -> jax.Array:
    """A vector `[K]` over its length; zero stays zero, and gives no gradient."""
    # Squares of small numbers vanish; scaling by a constant changes no derivative.
    largest = jax.lax.stop_gradient(jnp.abs(vector).max())
    there = ~(largest < jnp.finfo(vector.dtype).tiny)
    scaled = jnp.where(there, vector / jnp.where(there, largest, 1.0), 1.0)
    return jnp.where(there, scaled / jnp.sqrt((scaled**2).sum()), 0.0)
