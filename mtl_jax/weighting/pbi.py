"""PBI: penalty-based boundary intersection along a preference ray."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import require_number
from mtl_jax.weighting.cosmos import l2_normalize
from mtl_jax.weighting.per_task import per_task, require_length, require_weights


@dataclasses.dataclass(frozen=True)
class PBI(LossWeighting):
    """Penalty-based boundary intersection: derivatives of `d1 + theta d2`.

    `d1 = u'L` is the distance of the losses along the ray `u = r / ||r||`, `d2 = ||L - d1 u||`
    their distance from it. The weights are `u + theta e`, where e is the unit vector of `L - d1 u`;
    they do not change if all losses are scaled by the same factor. They can be negative: with a
    large theta losses that are too small for the ray increase. On the ray, up to rounding, e is 0.
    If all losses are 0, or K = 1, the weights are u. NaN losses make all weights NaN. The weights
    are treated as constants in differentiation.

    Attributes:
      theta: penalty on the distance from the ray.
      weights: r, one per task; None means 1 each.

    Raises:
      BadInput: for a negative theta, weights that are not a tuple of non-negative numbers, are all
        0, or whose number is not K.

    Reference: Zhang and Li, MOEA/D: A Multiobjective Evolutionary Algorithm Based on
      Decomposition, IEEE TEVC 2007, the boundary intersection approach, with the ideal point at
      0 (https://doi.org/10.1109/TEVC.2007.892759).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, losses = weighting.PBI(theta=2.0), jnp.array([1.0, 3.0])
      >>> weights, _ = method.weigh_losses(losses, (), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [-0.71, 2.12]
    """

    theta: float = 5.0
    weights: tuple[float, ...] | None = None

    def __post_init__(self):
        require_number(self, theta=(0.0, math.inf))
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
        weights = per_task(self, "weights", losses, 1.0)
        return jax.grad(pbi_value)(losses, weights, self.theta), state


def pbi_value(losses: jax.Array, weights: jax.Array, theta: float | jax.Array) -> jax.Array:
    """The value `d1 + theta d2`: distance along the ray plus penalized distance from it.

    Args:
      losses: L, `[K]`.
      weights: r, `[K]`, not all 0; its norm does not matter.
      theta: penalty on the distance from the ray.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: if a shape or dtype is wrong, at trace time.

    Reference: Zhang and Li, MOEA/D, IEEE TEVC 2007
      (https://doi.org/10.1109/TEVC.2007.892759).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> value = weighting.pbi_value(jnp.array([1.0, 3.0]), jnp.ones(2), theta=1.0)
      >>> round(float(value), 3)
      4.243
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, weights])
    chex.assert_type([losses, weights], float)
    ray = l2_normalize(weights)
    d1 = (ray * losses).sum()
    residual = losses - d1 * ray
    noise = 8 * jnp.finfo(losses.dtype).eps * jnp.abs(jax.lax.stop_gradient(losses)).max()
    # A residual of pure rounding error would have a random direction, scaled by theta.
    residual = jnp.where(jnp.abs(residual).max() <= noise, 0.0, residual)
    return d1 + theta * (l2_normalize(residual) * residual).sum()
