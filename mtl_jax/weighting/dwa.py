"""Dynamic weight average: larger weights for tasks whose losses decrease slowly."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import require, require_int, require_number


class DWAState(NamedTuple):
    """Accumulated losses of the current window, and the means of the previous two windows."""

    step: jax.Array  # []
    total: jax.Array  # [K]
    last_mean: jax.Array  # [K]
    previous_mean: jax.Array  # [K]


@dataclasses.dataclass(frozen=True)
class DWA(LossWeighting):
    """Dynamic weight average, `w = K softmax(r / T)`.

    `r_i = M_i(t - 1) / M_i(t - 2)`, where M_i(t) is the mean loss of task i in window t. In the
    first two windows all weights are 1. The weights sum to K. The method is scale-invariant: each
    loss is compared only with itself, so the weights do not change if the unit of a loss changes, r
    stays near 1 once training is slow, and a loss that is 1000 times larger stays so; equalize the
    scales by other means. The paper's window is an epoch; some implementations use 25 steps. Short
    windows compare noise with noise. A loss of 0 (e.g. a batch without labels for the task) is
    included in the mean; a mean of 0 gives `r_i = 1`. A NaN persists for two windows. The weights
    are treated as constants in differentiation.

    Attributes:
      window: number of steps; the paper's method uses the number of steps in an epoch.
      temperature: T; a large value makes the weights nearly equal.

    Raises:
      BadInput: for a window below 1 or a temperature that is not positive.

    Reference: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019,
      Eq. 7 (https://arxiv.org/abs/1803.10704).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, key = weighting.DWA(window=1), jax.random.key(0)
      >>> state = method.init(2)
      >>> for losses in ([1.0, 2.0], [0.5, 1.9], [0.4, 1.8]):
      ...     weights, state = method.weigh_losses(jnp.array(losses), state, key)
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.89, 1.11]
    """

    window: int = 100
    temperature: float = 2.0

    def __post_init__(self):
        require_int(self, window=1)
        require_number(self, temperature=(0.0, float("inf")))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)

    def init(self, num_tasks: int) -> DWAState:
        """Initial state: no losses observed."""
        return DWAState(jnp.int32(0), *(jnp.zeros(num_tasks, float) for _ in range(3)))

    def weigh_losses(
        self, losses: jax.Array, state: DWAState, key: jax.Array
    ) -> tuple[jax.Array, DWAState]:
        """Maps losses `[K]` to weights `[K]` from previous windows, and accumulates the losses."""
        chex.assert_shape(losses, state.total.shape)
        chex.assert_type(losses, float)
        probabilities = jax.nn.softmax(descent_rate(state) / self.temperature)
        weights = jnp.where(state.step < 2 * self.window, 1.0, losses.size * probabilities)
        constant = jax.lax.stop_gradient(losses).astype(state.total.dtype)
        return weights.astype(losses.dtype), self.update_means(constant, state)

    def update_means(self, losses: jax.Array, state: DWAState) -> DWAState:
        """The state updated with the losses of one more step."""
        step, total = state.step + 1, state.total + losses
        window_ends = step % self.window == 0
        mean = total / self.window
        return DWAState(
            step,
            jnp.where(window_ends, 0.0, total),
            jnp.where(window_ends, mean, state.last_mean),
            jnp.where(window_ends, state.last_mean, state.previous_mean),
        )


def descent_rate(state: DWAState) -> jax.Array:
    """r, the ratio of the last two means `[K]`; 1 where undefined."""
    previous = state.previous_mean
    nonzero = jnp.abs(previous) >= jnp.finfo(previous.dtype).tiny
    ratio = jnp.where(nonzero, state.last_mean / jnp.where(nonzero, previous, 1.0), 1.0)
    # An infinite ratio would make all weights NaN.
    return jnp.minimum(ratio, jnp.finfo(ratio.dtype).max)
