"""Which tasks train at a step: one after another, or more and more of them."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import require, require_count


@typed
@dataclasses.dataclass(frozen=True)
class Alternating:
    """One task a step, in turns: task `floor(t / period) mod K`.

    Attributes:
      period: steps that a task trains before the next has its turn.

    Raises:
      BadInput: for a period below 1.
    """

    period: int = 1

    def __post_init__(self):
        require_count(self, period=1)

    def check(self, num_tasks: int) -> None:
        """Fits any number of tasks."""

    def active(self, step: jax.Array, steps: int, num_tasks: int) -> jax.Array:
        """Which tasks train at a step `[]` of a run of `steps` steps, bool `[K]`."""
        return jnp.arange(num_tasks) == step // self.period % num_tasks


@typed
@dataclasses.dataclass(frozen=True)
class Progressive:
    """Tasks enter one after another and stay: task k trains from step `enter_k * T` on.

    Adam corrects its moments by the run's steps, not the task's: the head of a task that enters
    late begins with steps of three to six times the rate.

    Attributes:
      enter: for each task, in the order of the run's, the share of the run that has passed
        when it enters.

    Raises:
      BadInput: for shares outside [0, 1), or if no task trains from the beginning; from a run
        if it has another number of tasks.
    """

    enter: tuple[float, ...]

    def __post_init__(self):
        fine = all(isinstance(share, int | float) and 0 <= share < 1 for share in self.enter)
        require(fine, self, "enter", "must be numbers in [0, 1)", self.enter)
        require(0 in self.enter, self, "enter", "must have a task that enters at 0", self.enter)

    def check(self, num_tasks: int) -> None:
        """Requires a share for each task."""
        fits = len(self.enter) == num_tasks
        require(fits, self, "enter", f"must have a share for each of {num_tasks} tasks", self.enter)

    def active(self, step: jax.Array, steps: int, num_tasks: int) -> jax.Array:
        """Which tasks train at a step `[]` of a run of `steps` steps, bool `[K]`."""
        # Without the little that floats are off, 7 % of 100 steps would be 8.
        return step >= jnp.array([math.ceil(share * steps - 1e-9) for share in self.enter])
