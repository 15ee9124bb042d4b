"""Base classes of optimizers and of learning-rate schedules."""

import abc
from collections.abc import Callable
from typing import Any

import jax
import optax

from mtl_jax.core.default_property import default_property


class Schedule(abc.ABC):
    """A learning rate that depends on the step."""

    @abc.abstractmethod
    def schedule(self, steps: int) -> Callable[[jax.Array], jax.Array]:
        """The learning rate as a function of the step, for a run of `steps` steps."""


class Optimizer(abc.ABC):
    """The configuration of an optimizer."""

    @default_property
    def learning_rate(self) -> float | Schedule | None:
        """The step size that proximal and bilevel methods also use; None if it has none."""
        return None

    @abc.abstractmethod
    def build(self, steps: int, rules: tuple = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""

    def check(self, run: Any) -> None:  # noqa: B027, it is optional.
        """Raises `BadInput` for an incompatible run."""
