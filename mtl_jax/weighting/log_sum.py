"""Log-sum weighting: the sum of log losses, invariant to the scales of the losses."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting


@dataclasses.dataclass(frozen=True)
class LogSum(LossWeighting):
    """Scale-invariant weights `w_i = 1 / L_i`, the derivatives of `sum_i log L_i`.

    If the unit of a loss changes, its weight compensates: `w_i L_i = 1`. If all losses scale by c,
    the weights scale by 1/c. A task whose loss approaches 0 dominates the update. A loss of 0 (e.g.
    a batch without labels for the task) has weight 0; a negative loss has no logarithm and weight
    NaN. The weights are treated as constants in differentiation.

    Reference: Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022, the
      scale-invariant baseline of its experiments (https://arxiv.org/abs/2202.01017).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, losses = weighting.LogSum(), jnp.array([0.5, 4.0])
      >>> weights, _ = method.weigh_losses(losses, (), jax.random.key(0))
      >>> weights.tolist()
      [2.0, 0.25]
    """

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        return log_derivative(jax.lax.stop_gradient(losses)), state


def log_derivative(losses: jax.Array) -> jax.Array:
    """Derivative of each logarithm, `1 / L_i`; 0 where the loss is 0, NaN where it is negative."""
    zero = jnp.abs(losses) < jnp.finfo(losses.dtype).tiny
    derivative = 1.0 / jnp.where(zero, 1.0, losses)
    return jnp.where(zero, 0.0, jnp.where(losses < 0, jnp.nan, derivative))
