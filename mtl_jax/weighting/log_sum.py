"""The sum of the logarithms of the losses, which does not care for their scales."""

import dataclasses

import chex
import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class LogSum:
    """Scale-invariant weights `w_i = 1 / L_i`, the derivatives of `sum_i log L_i`.

    If a loss is measured in other units its weight makes up for it: `w_i L_i = 1`. If all
    losses scale by c, the weights scale by 1/c. A task whose loss comes near 0 takes the whole
    step. A loss of 0 (as of a batch without labels of the task) has weight 0; a negative loss
    has no logarithm and weight NaN. The weights are constants to differentiation.

    Reference: Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022, the
      scale-invariant baseline of its experiments (https://arxiv.org/abs/2202.01017).
    """

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        return log_slope(jax.lax.stop_gradient(losses)), state


def log_slope(losses: jax.Array) -> jax.Array:
    """The derivative of each logarithm, `1 / L_i`; 0 where the loss is 0, NaN below it."""
    zero = jnp.abs(losses) < jnp.finfo(losses.dtype).tiny
    slope = 1.0 / jnp.where(zero, 1.0, losses)
    return jnp.where(zero, 0.0, jnp.where(losses < 0, jnp.nan, slope))
