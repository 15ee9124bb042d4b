"""IMTL-L: a learnt scale for each task that brings its loss to one."""

import dataclasses
import math
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.validation import require_number


class IMTLLState(NamedTuple):
    """The log scales of the tasks, and Adam's moments of them."""

    log_scale: jax.Array  # [K]
    moments: Any


@dataclasses.dataclass(frozen=True)
class IMTLL:
    """Impartial loss balance: weights `w_i = exp(s_i)` with a learnt s.

    They are the derivatives of `sum_i exp(s_i) L_i - s_i` by the losses, at the s from before
    this step's update. Then s takes one Adam step on the same value, whose derivative by s is
    `exp(s_i) L_i - 1`. So s_i tends to `-log L_i`, where all scaled losses are 1 and the weights
    are those of `LogSum`; s is a slow, smooth way there. A loss of 0 (as of a batch without
    labels of the task) raises s_i like any small loss. The weights are constants to
    differentiation. The paper learns s by the optimizer of the network; here s has its own.

    Attributes:
      learning_rate: of Adam on s.
      initial: s before the first step; 0 makes all weights 1.

    Raises:
      BadInput: for a rate below 0 or numbers that are not finite.

    Reference: Liu et al., Towards Impartial Multi-Task Learning, ICLR 2021, the loss balance
      (https://openreview.net/forum?id=IMPnRXEWpvr).
    """

    learning_rate: float = 0.025
    initial: float = 0.0

    def __post_init__(self):
        require_number(self, learning_rate=(0.0, math.inf), initial=(-math.inf, math.inf))

    def init(self, num_tasks: int) -> IMTLLState:
        """State before the first step: s of `[num_tasks]`, and Adam's zeros."""
        log_scale = jnp.full(num_tasks, self.initial, float)
        return IMTLLState(log_scale, optax.adam(self.learning_rate).init(log_scale))

    def weigh_losses(
        self, losses: jax.Array, state: IMTLLState, key: jax.Array
    ) -> tuple[jax.Array, IMTLLState]:
        """Maps losses `[K]` to weights `[K]` of the state given, and the state after a step."""
        current = state.log_scale
        chex.assert_shape(losses, current.shape)
        chex.assert_type(losses, float)
        constant = jax.lax.stop_gradient(losses).astype(current.dtype)
        weights, slope = jax.grad(imtl_l_value, argnums=(0, 1))(constant, current)
        with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to an int power.
            change, moments = optax.adam(self.learning_rate).update(slope, state.moments)
        state = IMTLLState(optax.apply_updates(current, change), moments)
        return weights.astype(losses.dtype), state


def imtl_l_value(losses: jax.Array, log_scale: jax.Array) -> jax.Array:
    """The value that IMTL-L descends, `sum_i exp(s_i) L_i - s_i`.

    Gradients flow into both arguments.

    Args:
      losses: L, `[K]`.
      log_scale: s, `[K]`.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: for another shape or dtype, when traced.

    Reference: Liu et al., Towards Impartial Multi-Task Learning, ICLR 2021, the loss balance
      (https://openreview.net/forum?id=IMPnRXEWpvr).
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, log_scale])
    chex.assert_type([losses, log_scale], float)
    return (jnp.exp(log_scale) * losses - log_scale).sum()
