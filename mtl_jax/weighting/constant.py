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
