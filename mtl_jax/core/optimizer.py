"""Base classes of optimizers and of learning-rate schedules."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import optax

from mtl_jax.core.default_property import default_property
from mtl_jax.core.tree import Tree

# Maps parameters to the gradient there, and to what else its forward pass gives.
GradientFn = Callable[[Tree], tuple[Tree, Any]]


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

    @default_property
    def momentum(self) -> float:
        """Decay of the average of the gradients; 0 if it has none, or none that is known."""
        return 0.0

    @default_property
    def observes_validation(self) -> bool:
        """Whether the training loop calls `observe` after every evaluation."""
        return False

    @abc.abstractmethod
    def build(self, steps: int, rules: tuple = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""

    def check(self, run: Any) -> None:  # noqa: B027, it is optional.
        """Raises `BadInput` for an incompatible run."""

    def gradient(self, gradient_fn: GradientFn, params: Tree, opt_state: Tree) -> tuple[Tree, Any]:
        """The gradient of a step, and what else the forward pass gives that updates states.

        Args:
          gradient_fn: the gradient and the other results at any parameters, on the step's batch.
          params: the parameters before the step.
          opt_state: the state of the transformation before the step.
        """
        return gradient_fn(params)

    def observe(self, opt_state: Tree, improved: jax.Array) -> Tree:
        """The state after an evaluation; `improved` `[]` says whether it is the best so far."""
        return opt_state


@dataclasses.dataclass(frozen=True)
class OptimizerWrapper(Optimizer):
    """An optimizer around another one, whose members it forwards."""

    optimizer: Optimizer

    @property
    def learning_rate(self) -> float | Schedule | None:
        """The learning rate of the wrapped optimizer."""
        return self.optimizer.learning_rate

    @property
    def momentum(self) -> float:
        """The momentum of the wrapped optimizer."""
        return self.optimizer.momentum

    @property
    def observes_validation(self) -> bool:
        """Whether the wrapped optimizer observes evaluations."""
        return self.optimizer.observes_validation

    def build(self, steps: int, rules: tuple = ()) -> optax.GradientTransformation:
        """The transformation of the wrapped optimizer."""
        return self.optimizer.build(steps, rules)

    def check(self, run: Any) -> None:
        """Raises `BadInput` for a run that does not suit the wrapped optimizer."""
        self.optimizer.check(run)

    def gradient(self, gradient_fn: GradientFn, params: Tree, opt_state: Tree) -> tuple[Tree, Any]:
        """The gradient of the wrapped optimizer."""
        return self.optimizer.gradient(gradient_fn, params, opt_state)

    def observe(self, opt_state: Tree, improved: jax.Array) -> Tree:
        """The state of the wrapped optimizer after an evaluation."""
        return self.optimizer.observe(opt_state, improved)
