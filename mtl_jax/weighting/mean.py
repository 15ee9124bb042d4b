"""Mean weighting: equal weights that sum to 1 for any number of tasks."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting


@dataclasses.dataclass(frozen=True)
class Mean(LossWeighting):
    """The mean of the losses: `w_i = 1/K` for every task.

    The direction of `Equal` with a K times smaller update; under an optimizer that normalizes the
    gradient, such as Adam, the two are nearly the same.

    Reference: Kurin et al., In Defense of the Unitary Scalarization for Deep Multi-Task
      Learning, NeurIPS 2022, up to the factor (https://arxiv.org/abs/2201.04122).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, losses = weighting.Mean(), jnp.array([0.5, 4.0])
      >>> weights, _ = method.weigh_losses(losses, (), jax.random.key(0))
      >>> weights.tolist()
      [0.5, 0.5]
    """

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        return jnp.full_like(losses, 1.0 / losses.size), state
