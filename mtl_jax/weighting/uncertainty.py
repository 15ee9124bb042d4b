"""Uncertainty weighting: a learned noise level per task scales its loss."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import require, require_number
from mtl_jax.solvers.adam import adam_step
from mtl_jax.weighting.per_task import require_length

FACTORS = {"regression": 0.5, "classification": 1.0}


class UncertaintyState(NamedTuple):
    """Log variances of the tasks, and their Adam moments."""

    log_variance: jax.Array  # [K]
    moments: optax.OptState


@dataclasses.dataclass(frozen=True)
class Uncertainty(LossWeighting):
    """Weights by homoscedastic uncertainty, `w_i = a exp(-s_i)`.

    They are the derivatives of `sum_i a exp(-s_i) L_i + s_i / 2` with respect to the losses, at the
    s from before this step's update; a is 1/2 for regression and 1 for classification. Then s takes
    one Adam step on the same objective, whose derivative with respect to s is
    `1/2 - a exp(-s_i) L_i`. So s_i tends to `log(2a L_i)`, where `w_i L_i = 1/2` for either a. Note
    that a task whose loss decreases gets an ever larger weight, and that a loss of 0 (e.g. a batch
    without labels for the task) lowers s_i like any small loss. The weights are treated as
    constants in differentiation.

    Attributes:
      learning_rate: Adam learning rate for s.
      initial: initial value of s; 0 makes all weights a.
      convention: `"regression"` or `"classification"`, or a tuple with one of them per task. Most
        implementations use the first for all tasks.

    Raises:
      BadInput: for a negative rate, numbers that are not finite, an unknown convention, or a tuple
        whose length is not K.

    Reference: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses,
      CVPR 2018, Eqs. 7 and 10 with `s = log sigma^2` (https://arxiv.org/abs/1705.07115).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method = weighting.Uncertainty(convention=("regression", "classification"))
      >>> weights, _ = method.weigh_losses(jnp.array([0.5, 4.0]), method.init(2), jax.random.key(0))
      >>> weights.tolist()
      [0.5, 1.0]
    """

    learning_rate: float = 0.025
    initial: float = 0.0
    convention: str | tuple[str, ...] = "regression"

    def __post_init__(self):
        require_number(self, learning_rate=(0.0, math.inf), initial=(-math.inf, math.inf))
        rule = "must be regression or classification, or a tuple of them"
        require(is_convention(self.convention), self, "convention", rule, self.convention)

    def init(self, num_tasks: int) -> UncertaintyState:
        """Initial state: s of `[num_tasks]`, and zero Adam moments."""
        require_length(self, "convention", num_tasks)
        log_variance = jnp.full(num_tasks, self.initial, float)
        return UncertaintyState(log_variance, optax.adam(self.learning_rate).init(log_variance))

    def weigh_losses(
        self, losses: jax.Array, state: UncertaintyState, key: jax.Array
    ) -> tuple[jax.Array, UncertaintyState]:
        """Maps losses `[K]` to weights `[K]` of the given state, and the updated state."""
        log_variance = state.log_variance
        chex.assert_shape(losses, log_variance.shape)
        chex.assert_type(losses, float)
        constant = jax.lax.stop_gradient(losses).astype(log_variance.dtype)
        gradients = jax.grad(uncertainty_value, argnums=(0, 1))
        weights, gradient = gradients(constant, log_variance, self.convention)
        updated = adam_step(log_variance, gradient, state.moments, self.learning_rate)
        return weights.astype(losses.dtype), UncertaintyState(*updated)


def uncertainty_value(
    losses: jax.Array, log_variance: jax.Array, convention: str | tuple[str, ...] = "regression"
) -> jax.Array:
    """The objective of uncertainty weighting, `sum_i a exp(-s_i) L_i + s_i / 2`.

    Differentiable with respect to losses and s.

    Args:
      losses: L, `[K]`.
      log_variance: s, `[K]`.
      convention: `"regression"` (`a = 1/2`) or `"classification"` (`a = 1`), or a tuple with one of
        them per task.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: if a shape or dtype is wrong, at trace time.

    Reference: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses,
      CVPR 2018, Eqs. 7 and 10 with `s = log sigma^2` (https://arxiv.org/abs/1705.07115).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> float(weighting.uncertainty_value(jnp.array([0.5, 4.0]), jnp.zeros(2)))
      2.25
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, log_variance])
    chex.assert_type([losses, log_variance], float)
    names = convention if isinstance(convention, tuple) else (convention,) * len(losses)
    factors = jnp.array([FACTORS[name] for name in names], losses.dtype)
    chex.assert_equal_shape([losses, factors])
    return (factors * jnp.exp(-log_variance) * losses + 0.5 * log_variance).sum()


def is_convention(value: object) -> bool:
    """Whether a value is the name of a convention, or a tuple of such names."""
    names = value if isinstance(value, tuple) and value else (value,)
    return all(isinstance(name, str) and name in FACTORS for name in names)
