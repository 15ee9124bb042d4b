"""Uncertainty weighting: a learnt noise level for each task scales its loss."""

import dataclasses
import math
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from mtl_jax.checks import require_number


class UncertaintyState(NamedTuple):
    """The log variances of the tasks, and Adam's moments of them."""

    log_variance: jax.Array  # [K]
    moments: Any


@dataclasses.dataclass(frozen=True)
class Uncertainty:
    """Weights by homoscedastic uncertainty, `w_i = exp(-s_i) / 2`.

    They are the derivatives of `sum_i exp(-s_i) L_i / 2 + s_i / 2` by the losses, at the s from
    before this step's update. Then s takes one Adam step on the same value, whose derivative by
    s is `1/2 - exp(-s_i) L_i / 2`. So s_i tends to `log L_i`. Two things to know: a task whose
    loss falls gets an ever larger weight, and a loss of 0 (as of a batch without labels of the
    task) lowers s_i like any small loss. The weights are constants to differentiation.

    Attributes:
      learning_rate: of Adam on s.
      initial: s before the first step; 0 makes all weights 1/2.

    Raises:
      BadInput: for a rate below 0 or numbers that are not finite.

    Reference: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses,
      CVPR 2018, Eq. 7 with `s = log sigma^2` (https://arxiv.org/abs/1705.07115).
    """

    learning_rate: float = 0.025
    initial: float = 0.0

    def __post_init__(self):
        require_number(self, learning_rate=(0.0, math.inf), initial=(-math.inf, math.inf))

    def init(self, num_tasks: int) -> UncertaintyState:
        """State before the first step: s of `[num_tasks]`, and Adam's zeros."""
        log_variance = jnp.full(num_tasks, self.initial, float)
        return UncertaintyState(log_variance, optax.adam(self.learning_rate).init(log_variance))

    def weigh_losses(
        self, losses: jax.Array, state: UncertaintyState, key: jax.Array
    ) -> tuple[jax.Array, UncertaintyState]:
        """Maps losses `[K]` to weights `[K]` of the state given, and the state after a step."""
        current = state.log_variance
        chex.assert_shape(losses, current.shape)
        chex.assert_type(losses, float)
        constant = jax.lax.stop_gradient(losses).astype(current.dtype)
        weights, slope = jax.grad(uncertainty_value, argnums=(0, 1))(constant, current)
        with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to an int power.
            change, moments = optax.adam(self.learning_rate).update(slope, state.moments)
        state = UncertaintyState(optax.apply_updates(current, change), moments)
        return weights.astype(losses.dtype), state


def uncertainty_value(losses: jax.Array, log_variance: jax.Array) -> jax.Array:
    """The value that uncertainty weighting descends, `sum_i exp(-s_i) L_i / 2 + s_i / 2`.

    Gradients flow into both arguments.

    Args:
      losses: L, `[K]`.
      log_variance: s, `[K]`.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: for another shape or dtype, when traced.

    Reference: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses,
      CVPR 2018, Eq. 7 with `s = log sigma^2` (https://arxiv.org/abs/1705.07115).
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, log_variance])
    chex.assert_type([losses, log_variance], float)
    return 0.5 * (jnp.exp(-log_variance) * losses + log_variance).sum()
