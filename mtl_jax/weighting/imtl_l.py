"""IMTL-L: a learned scale per task that brings its scaled loss to 1."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.adam import adam_step


class IMTLLState(NamedTuple):
    """Log scales of the tasks, and their Adam moments."""

    log_scale: jax.Array  # [K]
    moments: optax.OptState


@dataclasses.dataclass(frozen=True)
class IMTLL(LossWeighting):
    """Impartial loss balance: weights `w_i = exp(s_i)` with a learned s.

    They are the derivatives of `sum_i exp(s_i) L_i - s_i` with respect to the losses, at the s from
    before this step's update. Then s takes one Adam step on the same objective, whose derivative
    with respect to s is `exp(s_i) L_i - 1`. So s_i tends to `-log L_i`, where all scaled losses are
    1 and the weights are those of `LogSum`; s approaches this slowly and smoothly. A loss of 0
    (e.g. a batch without labels for the task) raises s_i like any small loss. The weights are
    treated as constants in differentiation. The paper trains s with the network's optimizer; here s
    has a separate one.

    Attributes:
      learning_rate: Adam learning rate for s.
      initial: initial value of s; 0 makes all weights 1.

    Raises:
      BadInput: for a negative rate or numbers that are not finite.

    Reference: Liu et al., Towards Impartial Multi-Task Learning, ICLR 2021, the loss balance
      (https://openreview.net/forum?id=IMPnRXEWpvr).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method = weighting.IMTLL(learning_rate=0.1)
      >>> state = method.init(2)
      >>> weights, state = method.weigh_losses(jnp.array([0.5, 4.0]), state, jax.random.key(0))
      >>> weights.tolist(), [round(scale, 2) for scale in state.log_scale.tolist()]
      ([1.0, 1.0], [0.1, -0.1])
    """

    learning_rate: float = 0.025
    initial: float = 0.0

    def __post_init__(self):
        require_number(self, learning_rate=(0.0, math.inf), initial=(-math.inf, math.inf))

    def init(self, num_tasks: int) -> IMTLLState:
        """Initial state: s of `[num_tasks]`, and zero Adam moments."""
        log_scale = jnp.full(num_tasks, self.initial, float)
        return IMTLLState(log_scale, optax.adam(self.learning_rate).init(log_scale))

    def weigh_losses(
        self, losses: jax.Array, state: IMTLLState, key: jax.Array
    ) -> tuple[jax.Array, IMTLLState]:
        """Maps losses `[K]` to weights `[K]` of the given state, and the updated state."""
        log_scale = state.log_scale
        chex.assert_shape(losses, log_scale.shape)
        chex.assert_type(losses, float)
        constant = jax.lax.stop_gradient(losses).astype(log_scale.dtype)
        weights, gradient = jax.grad(imtl_l_value, argnums=(0, 1))(constant, log_scale)
        updated = adam_step(log_scale, gradient, state.moments, self.learning_rate)
        return weights.astype(losses.dtype), IMTLLState(*updated)


def imtl_l_value(losses: jax.Array, log_scale: jax.Array) -> jax.Array:
    """The objective that IMTL-L minimizes, `sum_i exp(s_i) L_i - s_i`.

    Differentiable with respect to both arguments.

    Args:
      losses: L, `[K]`.
      log_scale: s, `[K]`.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: if a shape or dtype is wrong, at trace time.

    Reference: Liu et al., Towards Impartial Multi-Task Learning, ICLR 2021, the loss balance
      (https://openreview.net/forum?id=IMPnRXEWpvr).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> float(weighting.imtl_l_value(jnp.array([0.5, 4.0]), jnp.zeros(2)))
      4.5
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, log_scale])
    chex.assert_type([losses, log_scale], float)
    return (jnp.exp(log_scale) * losses - log_scale).sum()
