"""CoV weighting: losses with a larger coefficient of variation get larger weights."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting


class CoVState(NamedTuple):
    """Number of steps, and running moments of the losses and of their ratios."""

    step: jax.Array  # []
    mean_loss: jax.Array  # [K]
    mean_ratio: jax.Array  # [K]
    squares: jax.Array  # [K], sum of squared differences of the ratio from its mean


@dataclasses.dataclass(frozen=True)
class CoV(LossWeighting):
    """Weights by the coefficient of variation of the loss ratio, `w_i = c_i / sum_j c_j`.

    The ratio `l_i = L_i / M_i` divides a loss by its mean M_i over all previous steps;
    `c_i = s_i / m_i` is the standard deviation of l_i divided by its mean, both over all previous
    steps (by Welford's algorithm). In the first two steps the weights are 1/K. They sum to 1 and do
    not change if the unit of a loss changes. Losses that never change get equal weights. A loss of
    0 (e.g. a batch without labels for the task) is treated like any other, so intermittent labels
    appear as variation; while the mean is 0 the ratio is 1. A NaN persists. The weights are treated
    as constants in differentiation. As in the authors' code, 1e-8 is added to the variance: the
    ratio is dimensionless. Their variant with decaying means is not implemented.

    Reference: Groenendijk et al., Multi-Loss Weighting with Coefficient of Variations, WACV
      2021 (https://arxiv.org/abs/2009.01717).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, key = weighting.CoV(), jax.random.key(0)
      >>> state = method.init(2)
      >>> for losses in ([1.0, 2.0], [0.5, 1.9], [0.4, 1.8]):
      ...     weights, state = method.weigh_losses(jnp.array(losses), state, key)
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.93, 0.07]
    """

    def init(self, num_tasks: int) -> CoVState:
        """Initial state: no losses observed."""
        return CoVState(jnp.int32(0), *(jnp.zeros(num_tasks, float) for _ in range(3)))

    def weigh_losses(
        self, losses: jax.Array, state: CoVState, key: jax.Array
    ) -> tuple[jax.Array, CoVState]:
        """Maps losses `[K]` to weights `[K]` from previous steps, and updates the moments."""
        chex.assert_shape(losses, state.mean_loss.shape)
        chex.assert_type(losses, float)
        constant = jax.lax.stop_gradient(losses).astype(state.mean_loss.dtype)
        weights = coefficient_of_variation(state)
        weights = jnp.where(state.step < 2, 1.0 / losses.size, weights / weights.sum())
        return weights.astype(losses.dtype), update_moments(constant, state)


def coefficient_of_variation(state: CoVState) -> jax.Array:
    """Coefficient of variation of the ratios so far, `[K]`."""
    steps = jnp.maximum(state.step, 1).astype(state.squares.dtype)
    deviation = jnp.sqrt(state.squares / steps + 1e-8)
    return deviation / jnp.where(state.step > 0, state.mean_ratio, 1.0)


def update_moments(losses: jax.Array, state: CoVState) -> CoVState:
    """The state updated with the losses of one more step."""
    nonzero = jnp.abs(state.mean_loss) >= jnp.finfo(losses.dtype).tiny
    ratio = jnp.where(nonzero, losses / jnp.where(nonzero, state.mean_loss, 1.0), 1.0)
    step = state.step + 1
    rate = 1.0 / step.astype(losses.dtype)
    mean_ratio = state.mean_ratio + rate * (ratio - state.mean_ratio)
    return CoVState(
        step,
        state.mean_loss + rate * (losses - state.mean_loss),
        mean_ratio,
        state.squares + (ratio - state.mean_ratio) * (ratio - mean_ratio),
    )
