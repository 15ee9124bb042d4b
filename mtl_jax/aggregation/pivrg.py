"""PIVRG: fair weights that favor tasks that lag behind their reference."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import where_finite
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import are_numbers, require, require_number
from mtl_jax.solvers.convex import solve_alpha_fair


class PIVRGState(NamedTuple):
    """Reference losses, and the moving average of the losses."""

    reference: jax.Array  # [K]
    losses: jax.Array  # [K]
    initialized: jax.Array  # [], whether any losses were observed


@dataclasses.dataclass(frozen=True)
class PIVRG(GramWeighting):
    """Performance-informed variance reduction: `Gw = (q / w)^(1/2)`, `w > 0`.

    `q = K softmax(s / tau)` is the importance of each task,
    `tau = max((max s - min s) / log b, tau_0)`, so that no task is more than b times as important
    as another. The score s_i measures in percent how far a task lags behind. The paper computes it
    from the tasks' metrics relative to those of single-task models; a method receives only losses,
    so here `s_i = 100 (L_i / R_i - 1)`, with L a moving average over the steps and R a reference
    loss for each task, intended to be that of a single-task model; by default, the loss of the
    first step. Equal scores give `FairGrad` with alpha 2, and so do the scores before any loss is
    observed.

    The combination conflicts with no task. If all gradients are scaled by s, the weights scale by
    `s^(-4/3)`. The reference code multiplies by K and clips the combined gradient to norm 1; here
    that is left to the optimizer and the run's scale.

    Degenerate gradients: a zero gradient gets weight 0 and the others share the decrease; if all
    are zero, 1/K each; opposed gradients have large weights that cancel; for K = 1 the weight is
    positive. A NaN or infinity in G makes all weights NaN; losses that are not finite are skipped.
    There is no gradient with respect to G or the losses. As in the reference, only gradients of
    shared parameters are weighted; heads keep their own gradients.

    Attributes:
      reference: R, one positive number per task; None means the losses of the first step.
      bound: b, the largest ratio between the importances of two tasks.
      temperature: tau_0, the minimum tau.
      momentum: momentum of the loss average; 0 uses the losses of the current batch.

    Raises:
      BadInput: for a number outside its range, a reference that is not a tuple of positive numbers,
        or one whose length is not K.

    Reference: Qin, Wang and Yan, Revisiting Fairness in Multitask Learning: A Performance-Driven
      Approach for Variance Reduction, CVPR 2025 (https://github.com/jianke0604/MTLlib).
    """

    reference: tuple[float, ...] | None = None
    bound: float = 2.0
    temperature: float = 10.0
    momentum: float = 0.99

    def __post_init__(self):
        require_number(
            self, bound=(1.0, math.inf), temperature=(0.0, math.inf), momentum=(0.0, 1.0)
        )
        require(self.bound > 1.0, self, "bound", "must be above 1", self.bound)
        require(self.temperature > 0.0, self, "temperature", "must be positive", self.temperature)
        rule, value = "must be a tuple of positive numbers, or None", self.reference
        valid = value is None or (are_numbers(value) and min(value) > 0)
        require(valid, self, "reference", rule, value)

    def init(self, num_tasks: int) -> PIVRGState:
        """Initial state."""
        reference = self.reference or (0.0,) * num_tasks
        rule = f"must have {num_tasks} numbers"
        require(len(reference) == num_tasks, self, "reference", rule, reference)
        return PIVRGState(
            jnp.array(reference, float), jnp.zeros(num_tasks, float), jnp.bool_(False)
        )

    def pre_step(self, losses: jax.Array, state: PIVRGState) -> PIVRGState:
        """Updates the average with the losses `[K]` of the current step."""
        chex.assert_equal_shape([losses, state.losses])
        new = jax.lax.stop_gradient(losses).astype(state.losses.dtype)
        average = self.momentum * state.losses + (1.0 - self.momentum) * new
        average = jnp.where(state.initialized, average, new)
        first = jnp.where(state.initialized, state.reference, new)
        reference = state.reference if self.reference is not None else first
        updated = PIVRGState(reference, average, jnp.bool_(True))
        return where_finite(jnp.isfinite(new).all(), updated, state)

    def weigh_gram(
        self, gram: jax.Array, state: PIVRGState, key: jax.Array
    ) -> tuple[jax.Array, PIVRGState]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        gains = jnp.sqrt(self.importances(state)).astype(gram.dtype)
        return solve_alpha_fair(jax.lax.stop_gradient(gram), 0.5, gains), state

    def importances(self, state: PIVRGState) -> jax.Array:
        """Importance of each task, q `[K]`, with mean 1."""
        valid = state.initialized & (state.reference != 0)
        ratio = state.losses / jnp.where(valid, state.reference, 1.0)
        scores = jnp.where(valid, 100.0 * (ratio - 1.0), 0.0)
        min_temperature = (scores.max() - scores.min()) / math.log(self.bound)
        logits = scores / jnp.maximum(min_temperature, self.temperature)
        return len(scores) * jax.nn.softmax(logits)
