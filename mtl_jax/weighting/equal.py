"""Equal weights: the plain sum of the losses, the standard baseline."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting


@dataclasses.dataclass(frozen=True)
class Equal(LossWeighting):
    """The sum of the losses: `w_i = 1` for every task.

    Not the mean: the update for K tasks is about K times as large as for a single task.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, losses = weighting.Equal(), jnp.array([0.5, 4.0])
      >>> weights, _ = method.weigh_losses(losses, (), jax.random.key(0))
      >>> weights.tolist()
      [1.0, 1.0]
    """

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to ones `[K]`."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        return jnp.ones_like(losses), state
