"""Base class of step extensions, and their inputs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mtl_jax.core.default_property import default_property
from mtl_jax.core.head_specs import CrossTaskEmbedding
from mtl_jax.core.model import Model
from mtl_jax.core.optimizer import Optimizer
from mtl_jax.core.step_types import Outputs, StreamInputs, TrainData, TrainState
from mtl_jax.core.tree import Tree

POLICY, POST_STEP = "policy", "post_step"  # Names of the extensions that a run's settings add.


class InitContext(NamedTuple):
    """Inputs of `StepExtension.init`."""

    run: Any
    models: dict[str, tuple[Tree, Tree]]  # (params, batch_stats) by `extra_models` name.


class StepContext(NamedTuple):
    """Inputs of `extra_losses`: a step after the forward passes of the trained model."""

    run: Any
    model: Model
    state: TrainState  # Before the step.
    streams: tuple[StreamInputs, ...]
    outputs: tuple[Outputs, ...]  # By stream, with gradients.
    features: dict[str, tuple[Any, ...]]  # By task, for each pass of its stream.
    heads: Tree  # Parameters of all heads.
    key: jax.Array


class ExtraLosses(NamedTuple):
    """Result of `extra_losses`, added to the losses of a step."""

    losses: dict[str, jax.Array]  # By task, [].
    state: Tree
    metrics: dict[str, jax.Array]


class AfterContext(NamedTuple):
    """Inputs of `after_step`: a step after the update of the parameters."""

    run: Any
    model: Model
    before: TrainState
    data: TrainData
    losses: Callable[[Tree], jax.Array]  # Maps parameters to losses [K] on the step's batch.
    augment_loop: str


class StepExtension:
    """An extension of the training step.

    Every method has a default that changes nothing. Its state is stored in
    `TrainState.extensions[name]`.
    """

    @default_property
    def name(self) -> str:
        """Key of its state, unique in a run; not "", "policy" or "post_step"."""
        return ""

    @default_property
    def extra_models(self) -> tuple[str, ...]:
        """Random streams of additional models with the run's architecture, for `init`."""
        return ()

    @default_property
    def optimizer(self) -> Optimizer | None:
        """Optimizer of the model that `before_step` puts in the place of the run's.

        `before_step` puts in its optimizer state too; None uses the run's optimizer.
        """
        return None

    @default_property
    def needs_unlabelled(self) -> bool:
        """Whether it requires unlabelled examples in each step."""
        return False

    def check(self, run: Any) -> None:
        """Raises `BadInput` for an incompatible run."""

    def head_specs(self, run: Any) -> dict[str, CrossTaskEmbedding]:
        """Additional heads of the model, by name."""
        return {}

    def init(self, context: InitContext) -> Tree:
        """Initial state."""
        return ()

    def before_step(self, state: TrainState) -> TrainState:
        """Transforms the training state before the step."""
        return state

    def extra_losses(self, context: StepContext) -> ExtraLosses:
        """Losses to add to the tasks' losses, next state, and metrics."""
        return ExtraLosses({}, context.state.extensions[self.name], {})

    def after_step(self, context: AfterContext, state: TrainState) -> TrainState:
        """Transforms the training state after the step."""
        return state
