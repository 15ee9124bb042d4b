"""FAMO: adaptive weights that decrease all task losses at the same rate."""

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
from mtl_jax.weighting.per_task import per_task, require_length, require_numbers


class FAMOState(NamedTuple):
    """Task logits, their Adam moments, and the losses before the step."""

    logits: jax.Array  # [K]
    moments: optax.OptState
    losses: jax.Array  # [K]


@dataclasses.dataclass(frozen=True)
class FAMO(LossWeighting):
    """Fast adaptive multitask optimization: `w_i = c z_i / D_i`, with weights that sum to 1.

    `z = softmax(x)`, `D_i = L_i - b_i + epsilon` with a lower bound b, `1/c = sum_i z_i / D_i`; so
    `w = softmax(x - log D)`. After the parameter update the losses on the same batch show how much
    each has decreased, `d_i = log D_i(before) - log D_i(after)`, and x takes an Adam step on
    `(diag(z) - zz') d + gamma x`: a task that decreased more than the others loses weight. This
    costs one extra forward pass; without `post_step` x never changes. If all D scale by the same
    factor no weight changes; if the unit of one task's D changes, `w_i D_i` keeps its ratio to the
    others'.

    The reference code uses epsilon 1e-8, which is not small if the losses are, and gives a task
    without loss nearly the whole update. Here it is 0, and a task whose loss is at or below its
    bound (e.g. a batch without labels for the task) has weight 0 and is excluded from the update.
    The paper also clips the gradient of the shared parameters to norm 1; here that is left to the
    optimizer. NaN losses make all weights NaN. The weights are treated as constants in
    differentiation.

    Attributes:
      learning_rate: Adam learning rate for x.
      gamma: decay of x, added to its derivative; 1e-3 in the paper, 0 to 1e-2 in code.
      min_losses: b, one per task; None means 0 each.
      epsilon: added to D.

    Raises:
      BadInput: for a negative rate, gamma or epsilon, or bounds that are not a tuple of K finite
        numbers.

    Reference: Liu et al., FAMO: Fast Adaptive Multitask Optimization, NeurIPS 2023, Algorithm 1
      (https://arxiv.org/abs/2306.03792).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method = weighting.FAMO(learning_rate=0.1)
      >>> state = method.init(2)
      >>> weights, state = method.weigh_losses(jnp.array([1.0, 4.0]), state, jax.random.key(0))
      >>> state = method.post_step(jnp.array([0.5, 4.0]), state)
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.8, 0.2]
      >>> [round(logit, 2) for logit in state.logits.tolist()]
      [-0.1, 0.1]
    """

    learning_rate: float = 0.025
    gamma: float = 1e-3
    min_losses: tuple[float, ...] | None = None
    epsilon: float = 0.0

    def __post_init__(self):
        nonnegative = (0.0, math.inf)
        require_number(self, learning_rate=nonnegative, gamma=nonnegative, epsilon=nonnegative)
        require_numbers(self, "min_losses")

    def init(self, num_tasks: int) -> FAMOState:
        """Initial state: zero logits, and zero Adam moments."""
        require_length(self, "min_losses", num_tasks)
        logits = jnp.zeros(num_tasks, float)
        moments = optax.adam(self.learning_rate).init(logits)
        return FAMOState(logits, moments, jnp.zeros(num_tasks, float))

    def weigh_losses(
        self, losses: jax.Array, state: FAMOState, key: jax.Array
    ) -> tuple[jax.Array, FAMOState]:
        """Maps losses `[K]` to weights `[K]`, and stores the losses for `post_step`."""
        chex.assert_shape(losses, state.logits.shape)
        chex.assert_type(losses, float)
        current = jax.lax.stop_gradient(losses).astype(state.logits.dtype)
        logs, mask = self.log_distance(current)
        weights = masked_softmax(state.logits - logs, mask)
        return weights.astype(losses.dtype), state._replace(losses=current)

    def post_step(self, losses: jax.Array, state: FAMOState) -> FAMOState:
        """Updates the logits from the losses `[K]` of the new parameters on the same batch."""
        chex.assert_shape(losses, state.logits.shape)
        chex.assert_type(losses, float)
        new_losses = jax.lax.stop_gradient(losses).astype(state.logits.dtype)
        old, old_mask = self.log_distance(state.losses)
        new, new_mask = self.log_distance(new_losses)
        mask = old_mask & new_mask
        z = masked_softmax(state.logits, mask)
        decrease = jnp.where(mask, old - new, 0.0)
        gradient = z * (decrease - (z * decrease).sum()) + self.gamma * state.logits
        logits, moments = adam_step(state.logits, gradient, state.moments, self.learning_rate)
        return FAMOState(logits, moments, state.losses)

    def log_distance(self, losses: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`log D` `[K]`, and a mask `[K]` of tasks above their bound or NaN."""
        distance = losses - per_task(self, "min_losses", losses, 0.0) + self.epsilon
        mask = ~(distance < jnp.finfo(distance.dtype).tiny)
        return jnp.log(jnp.where(mask, distance, 1.0)), mask


def masked_softmax(logits: jax.Array, mask: jax.Array) -> jax.Array:
    """Softmax over the tasks in the mask; 0 for the others."""
    low = jnp.finfo(logits.dtype).min  # Not -inf, which gives NaN if the mask is empty.
    return jnp.where(mask, jax.nn.softmax(jnp.where(mask, logits, low)), 0.0)
