"""Dynamic weight average: tasks whose losses fall slowly weigh more."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_count, require_number


class DWAState(NamedTuple):
    """The losses of the window under way, and the means of the two before it."""

    step: jax.Array  # []
    total: jax.Array  # [K]
    last: jax.Array  # [K]
    before: jax.Array  # [K]


@dataclasses.dataclass(frozen=True)
class DWA:
    """Dynamic weight average, `w = K softmax(r / T)`.

    `r_i = M_i(t - 1) / M_i(t - 2)`, where M_i(t) is the mean loss of task i in window t. In the
    first two windows all weights are 1. The weights sum to K. The method is free of scale: each
    loss is compared with itself only, so the weights do not change if a loss is measured in
    other units, r stays near 1 once training is slow, and a task that is 1000 times as large
    stays so; equalise the units by other means. The paper's window is an epoch; some code takes
    25 steps. Short windows compare noise with noise. A loss of 0 (as of a batch without labels
    of the task) counts in the mean; a mean of 0 gives `r_i = 1`. A NaN stays for two windows.
    The weights are constants to differentiation.

    Attributes:
      window: steps, an epoch's number of them for the paper's method.
      temperature: T; a large one makes the weights equal.

    Raises:
      BadInput: for a window below 1 or a temperature that is not above 0.

    Reference: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019,
      Eq. 7 (https://arxiv.org/abs/1803.10704).
    """

    window: int = 100
    temperature: float = 2.0

    def __post_init__(self):
        require_count(self, window=1)
        require_number(self, temperature=(0.0, float("inf")))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)

    def init(self, num_tasks: int) -> DWAState:
        """State before the first step: no losses yet."""
        return DWAState(jnp.int32(0), *(jnp.zeros(num_tasks, float) for _ in range(3)))

    def weigh_losses(
        self, losses: jax.Array, state: DWAState, key: jax.Array
    ) -> tuple[jax.Array, DWAState]:
        """Maps losses `[K]` to weights `[K]` of the windows before, and counts the losses."""
        chex.assert_shape(losses, state.total.shape)
        chex.assert_type(losses, float)
        share = jax.nn.softmax(fall(state) / self.temperature)
        weights = jnp.where(state.step < 2 * self.window, 1.0, losses.size * share)
        constant = jax.lax.stop_gradient(losses).astype(state.total.dtype)
        return weights.astype(losses.dtype), self.counted(constant, state)

    def counted(self, losses: jax.Array, state: DWAState) -> DWAState:
        """The state after one more step."""
        step, total = state.step + 1, state.total + losses
        full = step % self.window == 0
        mean = total / self.window
        return DWAState(
            step,
            jnp.where(full, 0.0, total),
            jnp.where(full, mean, state.last),
            jnp.where(full, state.last, state.before),
        )


def fall(state: DWAState) -> jax.Array:
    """r, the ratio of the last two means `[K]`; 1 where there is none."""
    there = jnp.abs(state.before) >= jnp.finfo(state.before.dtype).tiny
    ratio = jnp.where(there, state.last / jnp.where(there, state.before, 1.0), 1.0)
    # An infinite ratio would make all weights NaN.
    return jnp.minimum(ratio, jnp.finfo(ratio.dtype).max)
