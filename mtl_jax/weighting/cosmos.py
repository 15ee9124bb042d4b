"""COSMOS: a weighted sum of the losses with a cosine-similarity term."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import require_number
from mtl_jax.weighting.per_task import per_task, require_length, require_weights


@dataclasses.dataclass(frozen=True)
class COSMOS(LossWeighting):
    """Derivatives of `r'L - c cos(r, L)`, with the cosine of the angle between r and L.

    The second term pulls the losses onto the ray r, so that task i converges to a *larger* loss
    where r_i is large, while the first term weights it more. Weights can be negative: the method
    raises losses that are too small for the ray. If all losses scale by a, the second term's
    contribution to the weights scales by 1/a, so c has the unit of the losses. If all losses are 0,
    or K = 1, the weights are r. NaN losses make all weights NaN. The weights are treated as
    constants in differentiation. The paper also feeds r to the network and samples a new r for each
    batch; here r is fixed.

    Attributes:
      sharpness: c, the paper's lambda.
      weights: r, one per task; None means 1/K each.

    Raises:
      BadInput: for a negative sharpness, weights that are not a tuple of non-negative numbers, are
        all 0, or whose number is not K.

    Reference: Ruchte and Grabocka, Scalable Pareto Front Approximation for Deep Multi-Objective
      Learning, ICDM 2021 (https://arxiv.org/abs/2103.13392).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, losses = weighting.COSMOS(2.0), jnp.array([1.0, 3.0])
      >>> weights, _ = method.weigh_losses(losses, (), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.23, 0.59]
    """

    sharpness: float = 1.0
    weights: tuple[float, ...] | None = None

    def __post_init__(self):
        require_number(self, sharpness=(0.0, math.inf))
        require_weights(self, "weights")

    def init(self, num_tasks: int) -> tuple[()]:
        """Initial state: empty."""
        require_length(self, "weights", num_tasks)
        return ()

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`."""
        losses = jax.lax.stop_gradient(losses)
        weights = per_task(self, "weights", losses, 1.0 / losses.size)
        return jax.grad(cosmos_value)(losses, weights, self.sharpness), state


def cosmos_value(losses: jax.Array, weights: jax.Array, sharpness: float | jax.Array) -> jax.Array:
    """The value `r'L - c cos(r, L)`; the cosine with zero losses is 0.

    Args:
      losses: L, `[K]`.
      weights: r, `[K]`, not all 0.
      sharpness: c.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: if a shape or dtype is wrong, at trace time.

    Reference: Ruchte and Grabocka, Scalable Pareto Front Approximation for Deep Multi-Objective
      Learning, ICDM 2021 (https://arxiv.org/abs/2103.13392).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> losses, weights = jnp.array([1.0, 3.0]), jnp.array([0.5, 0.5])
      >>> value = weighting.cosmos_value(losses, weights, sharpness=2.0)
      >>> round(float(value), 3)
      0.211
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, weights])
    chex.assert_type([losses, weights], float)
    return (weights * losses).sum() - sharpness * (
        l2_normalize(weights) * l2_normalize(losses)
    ).sum()


def l2_normalize(vector: jax.Array) -> jax.Array:
    """Normalizes a vector `[K]` by its norm; zero stays zero, with zero gradient."""
    # Squares of small numbers underflow; scaling by a constant changes no derivative.
    largest = jax.lax.stop_gradient(jnp.abs(vector).max())
    nonzero = ~(largest < jnp.finfo(vector.dtype).tiny)
    scaled = jnp.where(nonzero, vector / jnp.where(nonzero, largest, 1.0), 1.0)
    return jnp.where(nonzero, scaled / jnp.sqrt((scaled**2).sum()), 0.0)
