"""Types of the training step: state, data, and inputs of forward passes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.model import Model
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.tree import Tree

# Training data: np.ndarray on the host, jax.Array on devices, jax.ShapeDtypeStruct if abstract.
DataArray = Any

Outputs = dict[str, dict[str, jax.Array]]  # By view and head, [n, C].
Features = dict[str, dict[str, Any]]  # By view and task.


class TrainState(NamedTuple):
    """State of the training step; checkpoints contain exactly this."""

    step: jax.Array
    key: jax.Array
    params: Tree
    batch_stats: Tree
    ema: Tree
    opt_state: Tree
    balance_state: Tree
    aux_state: dict[str, Tree]  # By task.
    extensions: dict[str, Tree]  # By the name of the extension.


class TeacherPredictions(NamedTuple):
    """Predictions of a teacher for the unlabelled examples, separate for each seed."""

    outputs: DataArray  # [N, C]
    weights: DataArray  # [N]


class LabelledSubset(NamedTuple):
    """The labelled examples of a stream, separate for each seed."""

    index: DataArray  # [L]
    mask: dict[str, DataArray]  # By task, [L], whether the label is known.


class Stream(NamedTuple):
    """Inputs and labels of one input stream, of all N examples or of those at `rows`."""

    inputs: DataArray  # [N, ...]
    labels: dict[str, DataArray]  # By task, [N, ...].
    labelled: LabelledSubset
    held_out: LabelledSubset | None  # For bilevel weightings, not trained on.
    teacher: dict[str, TeacherPredictions]  # By task.
    pool: DataArray | None = None  # Indices [M] of unlabelled examples; None is all.
    rows: DataArray | None = None  # Ascending indices [R] of inputs and labels; None is all.

    def places(self, index: jax.Array) -> jax.Array:
        """Where inputs and labels have the examples at indices `[n]`."""
        if self.rows is None:
            return index
        return jnp.searchsorted(self.rows, index).astype(jnp.int32)


class SourceModel(NamedTuple):
    """The source model of a run (`init_from`)."""

    params: Tree
    batch_stats: Tree
    precomputed: Any = ()  # By task, result of `AuxiliaryLoss.precompute`.


class TrainData(NamedTuple):
    """Training data of a run; constant during training."""

    streams: dict[str, Stream]  # By name; the only stream of a data set is "".
    source_model: SourceModel | None

    def in_axes(self, shared: Any, by_seed: Any) -> "TrainData":
        """The same structure with `shared` for arrays common to all seeds, else `by_seed`."""
        stream = Stream(shared, shared, by_seed, by_seed, by_seed, shared, shared)
        return TrainData(dict.fromkeys(self.streams, stream), by_seed)


class StepInputs(NamedTuple):
    """What all parts of a step's objective share."""

    run: Any
    model: Model
    state: TrainState  # Before the step.
    key: jax.Array  # For stochastic models and methods.
    source: SourceModel | None = None  # If the run has one (`init_from`).


class Batch(NamedTuple):
    """A step's batch of one stream: augmented inputs by view, and labels."""

    inputs: dict[str, jax.Array]  # By view, [n, ...].
    labels: dict[str, jax.Array]  # By task, [B, ...].
    mask: dict[str, jax.Array]  # By task, [B].
    labelled_index: jax.Array  # [B], among the labelled examples.
    unlabelled_index: jax.Array  # [U], in the unlabelled pool; U = 0 if none is used.
    view_params: dict[str, Any]  # By derived view, its random parameters.
    teacher: dict[str, TeacherPredictions]  # By task, of the unlabelled examples [U].


class ForwardPass(NamedTuple):
    """Inputs of one forward pass of the trained model."""

    name: str  # Its random stream; "" is the joint pass, which updates batch statistics.
    sizes: dict[str, int]  # Number of examples by view, in order.
    inputs: jax.Array  # [sum n, ...]


class StreamInputs(NamedTuple):
    """The forward passes of one stream, and outputs of models without gradients."""

    tasks: tuple[str, ...]
    batch: Batch
    passes: tuple[ForwardPass, ...]
    fixed_outputs: Outputs
    fixed_features: Features


def stream_key(key: jax.Array, stream: str) -> jax.Array:
    """The key of a stream, constant over steps; the seed's key for the only stream, ""."""
    return fold_in_name(key, stream) if stream else key
