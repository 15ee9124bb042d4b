"""PIVRG: fair weights that favour the tasks which lie behind their reference."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import are_numbers, require, require_number
from mtl_jax.solvers.convex import fair_point


class PIVRGState(NamedTuple):
    """What the losses are compared with, and their average."""

    reference: jax.Array  # [K]
    losses: jax.Array  # [K]
    begun: jax.Array  # [], whether any losses were read


@dataclasses.dataclass(frozen=True)
class PIVRG:
    """Performance-informed variance reduction: `Gw = (q / w)^(1/2)`, `w > 0`.

    `q = K softmax(s / tau)` says how much each task counts, `tau = max((max s - min s) / log b,
    tau_0)`, so that no task counts more than b times another. The score s_i is how far a task
    lies behind, in percent. The paper measures it by the tasks' metrics against those of models
    of one task each; a method sees losses only, so here `s_i = 100 (L_i / R_i - 1)`, with L an
    average over the steps and R a loss for each task, for which that of a model of its own is
    meant; without one, the loss of the first step. Scores that are all alike give `FairGrad`
    with alpha 2, and before any losses were read they are.

    The combination conflicts with no task. If all gradients are scaled by s, the weights are by
    `s^(-4/3)`. The reference code multiplies by K and clips the combined gradient to norm 1,
    which is left to the optimizer and to the run's scale here.

    Degenerate gradients: a zero one gets weight 0 and the others share alone; all zero, 1/K
    each; opposed ones have large weights that cancel; for K = 1 the weight is positive. A NaN or
    an infinity in G makes all weights NaN; losses that are not finite are passed over. No
    gradient flows into G or the losses. The reference weighs shared parameters; heads keep
    their own gradient.

    Attributes:
      reference: R, one positive number for each task; None takes the first step's losses.
      bound: b, the largest ratio of what two tasks count.
      temperature: tau_0, the least tau.
      momentum: of the average of the losses; 0 takes those of the batch.

    Raises:
      BadInput: for a number outside its range, a reference that is no tuple of positive
        numbers, or one that has not K of them.

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
        fine = value is None or (are_numbers(value) and min(value) > 0)
        require(fine, self, "reference", rule, value)

    def init(self, num_tasks: int) -> PIVRGState:
        """State before the first step."""
        reference = self.reference or (0.0,) * num_tasks
        rule = f"must have {num_tasks} numbers"
        require(len(reference) == num_tasks, self, "reference", rule, reference)
        return PIVRGState(
            jnp.array(reference, float), jnp.zeros(num_tasks, float), jnp.bool_(False)
        )

    def read_losses(self, losses: jax.Array, state: PIVRGState) -> PIVRGState:
        """Takes the losses `[K]` of this step into the average."""
        chex.assert_equal_shape([losses, state.losses])
        new = jax.lax.stop_gradient(losses).astype(state.losses.dtype)
        mixed = self.momentum * state.losses + (1.0 - self.momentum) * new
        mixed = jnp.where(state.begun, mixed, new)
        first = jnp.where(state.begun, state.reference, new)
        reference = state.reference if self.reference is not None else first
        read = PIVRGState(reference, mixed, jnp.bool_(True))
        finite = jnp.isfinite(new).all()
        return jax.tree.map(lambda after, before: jnp.where(finite, after, before), read, state)

    def weigh_gram(
        self, gram: jax.Array, state: PIVRGState, key: jax.Array
    ) -> tuple[jax.Array, PIVRGState]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        gains = jnp.sqrt(self.counts(state)).astype(gram.dtype)
        return fair_point(jax.lax.stop_gradient(gram), 0.5, gains), state

    def counts(self, state: PIVRGState) -> jax.Array:
        """How much each task counts, q `[K]`, with mean 1."""
        there = state.begun & (state.reference != 0)
        ratio = state.losses / jnp.where(there, state.reference, 1.0)
        scores = jnp.where(there, 100.0 * (ratio - 1.0), 0.0)
        spread = (scores.max() - scores.min()) / math.log(self.bound)
        scaled = scores / jnp.maximum(spread, self.temperature)
        return len(scores) * jax.nn.softmax(scaled)
