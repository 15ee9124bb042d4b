"""Constant weights: a fixed, user-chosen weighted sum of the losses."""

import dataclasses

import chex
import jax

from mtl_jax.core.balancing import LossWeighting
from mtl_jax.weighting.per_task import per_task, require_length, require_weights


@dataclasses.dataclass(frozen=True)
class Constant(LossWeighting):
    """A fixed weighted sum of the losses: `w_i = weights_i`, without normalization.

    Attributes:
      weights: one per task; None means 1 each.

    Raises:
      BadInput: for weights that are not a tuple of non-negative numbers, are all 0, or whose number
        is not K.

    Reference: Xin et al., Do Current Multi-Task Optimization Methods in Deep Learning Even
      Help?, NeurIPS 2022, on scalarization (https://arxiv.org/abs/2209.11379).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, losses = weighting.Constant((1.0, 0.5)), jnp.array([0.5, 4.0])
      >>> weights, _ = method.weigh_losses(losses, (), jax.random.key(0))
      >>> weights.tolist()
      [1.0, 0.5]
    """

    weights: tuple[float, ...] | None = None

    def __post_init__(self):
        require_weights(self, "weights")

    def init(self, num_tasks: int) -> tuple[()]:
        """Initial state: empty."""
        require_length(self, "weights", num_tasks)
        return ()

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`."""
        chex.assert_rank(losses, 1)
        chex.assert_type(losses, float)
        return per_task(self, "weights", losses, 1.0), state
