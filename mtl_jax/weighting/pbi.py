"""PBI: how far along a ray the losses are, and how far from it."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require_number
from mtl_jax.weighting.cosmos import unit
from mtl_jax.weighting.per_task import per_task, require_fit, require_shares


@dataclasses.dataclass(frozen=True)
class PBI:
    """Penalty-based boundary intersection: the derivatives of `d1 + theta d2`.

    `d1 = u'L` is how far the losses are along the ray `u = r / ||r||`, `d2 = ||L - d1 u||` how
    far from it. The weights are `u + theta e`, e the unit vector of `L - d1 u`; they do not
    change if all losses are scaled alike. They can be negative: with a large theta losses that
    are too small for the ray rise. On the ray, up to rounding, e is taken as 0. All losses 0,
    and K = 1: u. NaN losses make all weights NaN. The weights are constants to differentiation.

    Attributes:
      theta: penalty for leaving the ray.
      weights: r, one for each task; None is 1 each.

    Raises:
      BadInput: for a negative theta, weights that are no tuple of numbers of at least 0, are
        all 0, or are not K.

    Reference: Zhang and Li, MOEA/D: A Multiobjective Evolutionary Algorithm Based on
      Decomposition, IEEE TEVC 2007, the boundary intersection approach, with the ideal point at
      0 (https://doi.org/10.1109/TEVC.2007.892759).
    """

    theta: float = 5.0
    weights: tuple[float, ...] | None = None

    def __post_init__(self):
        require_number(self, theta=(0.0, math.inf))
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
        share = per_task(self, "weights", losses, 1.0)
        return jax.grad(pbi_value)(losses, share, self.theta), state


def pbi_value(losses: jax.Array, weights: jax.Array, theta: float | jax.Array) -> jax.Array:
    """The value `d1 + theta d2`: along the ray of the weights, and away from it.

    Args:
      losses: L, `[K]`.
      weights: r, `[K]`, not all 0; its length does not matter.
      theta: penalty for leaving the ray.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: for another shape or dtype, when traced.

    Reference: Zhang and Li, MOEA/D, IEEE TEVC 2007
      (https://doi.org/10.1109/TEVC.2007.892759).
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, weights])
    chex.assert_type([losses, weights], float)
    ray = unit(weights)
    along = (ray * losses).sum()
    aside = losses - along * ray
    noise = 8 * jnp.finfo(losses.dtype).eps * jnp.abs(jax.lax.stop_gradient(losses)).max()
    # A residual of mere rounding would have a random direction, as strong as theta.
    aside = jnp.where(jnp.abs(aside).max() <= noise, 0.0, aside)
    return along + theta * (unit(aside) * aside).sum()
