"""Equal weights: the plain sum of the losses, which everything else is measured against."""

import dataclasses

import chex
import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Equal:
    """The sum of the losses: `w_i = 1` for every task.

    Not the mean: K tasks make a step about K times as long as one task does.
    """

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to ones `[K]`."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        return jnp.ones_like(losses), state
