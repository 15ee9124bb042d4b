"""Task schedules: which tasks train at a step."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_int


@typechecked
@dataclasses.dataclass(frozen=True)
class AlternatingTasks:
    """Trains one task at a time, in turns: task `floor(t / period) mod K` at step t.

    Attributes:
      period: number of consecutive steps of each task.

    Raises:
      BadInput: for a period below 1.
    """

    period: int = 1

    def __post_init__(self):
        require_int(self, period=1)

    def check(self, num_tasks: int) -> None:
        """Accepts any number of tasks."""

    def active(self, step: jax.Array, steps: int, num_tasks: int) -> jax.Array:
        """Mask of the tasks that train at a step `[]` of a run of `steps` steps, bool `[K]`."""
        return jnp.arange(num_tasks) == step // self.period % num_tasks


@typechecked
@dataclasses.dataclass(frozen=True)
class ProgressiveTasks:
    """Adds tasks progressively: task k trains from step `ceil(start_fraction_k * T)` on.

    Adam's bias correction counts the run's steps, not the task's: the head of a task that starts
    late begins with updates of three to six times the learning rate.

    Attributes:
      start_fraction: for each task, in the order of the run's tasks, the fraction of the run's
        steps after which it starts.

    Raises:
      BadInput: for fractions outside [0, 1), or if no task trains from the beginning; in a run
        with a different number of tasks.
    """

    start_fraction: tuple[float, ...]

    def __post_init__(self):
        fine = all(
            isinstance(share, int | float) and 0 <= share < 1 for share in self.start_fraction
        )
        require(fine, self, "start_fraction", "must be numbers in [0, 1)", self.start_fraction)
        require(
            0 in self.start_fraction,
            self,
            "start_fraction",
            "must have a task that enters at 0",
            self.start_fraction,
        )

    def check(self, num_tasks: int) -> None:
        """Requires one fraction per task."""
        fits = len(self.start_fraction) == num_tasks
        require(
            fits,
            self,
            "start_fraction",
            f"must have a share for each of {num_tasks} tasks",
            self.start_fraction,
        )

    def active(self, step: jax.Array, steps: int, num_tasks: int) -> jax.Array:
        """Mask of the tasks that train at a step `[]` of a run of `steps` steps, bool `[K]`."""
        # Without the tolerance for floating-point error, 7 % of 100 steps would be 8.
        return step >= jnp.array([math.ceil(share * steps - 1e-9) for share in self.start_fraction])
