"""An objective: the losses of a batch, split at the features into encoders and heads."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mtl_jax.core.head_key import encoder_params, head_params
from mtl_jax.core.model import (
    features_by_task,
    restore_counters,
)
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import (
    ForwardPass,
    StepInputs,
    StreamInputs,
)
from mtl_jax.core.tree import Tree, merge


class StreamEncoder(NamedTuple):
    """The encoder of one stream; features are a single array if all its tasks share them."""

    tasks: tuple[str, ...]
    encode: Callable[[Tree, Tree], tuple]  # (params, batch_stats) -> features by pass, batch_stats


class ObjectiveAux(NamedTuple):
    """Auxiliary outputs of the losses."""

    aux_state: dict[str, Tree]
    extensions: dict[str, Tree]
    metrics: dict[str, jax.Array]
    head_stats: Tree  # Batch statistics of the heads after the step.


class Objective(NamedTuple):
    """Both parts of the losses on a batch, as functions of the trainable parameters."""

    encoders: tuple[StreamEncoder, ...]
    losses_from_features: Callable[[Tree, Any], tuple[jax.Array, ObjectiveAux]]
    batch_stats: Tree  # Before the step.

    def losses(self, params: Tree) -> jax.Array:
        """The losses `[K]`, without auxiliary outputs."""
        features, batch_stats = {}, self.batch_stats
        for tasks, encode in self.encoders:
            batch_stats = restore_counters(batch_stats, self.batch_stats)
            found, batch_stats = encode(encoder_params(params), batch_stats)
            features |= features_of_passes(found, tasks)
        return self.losses_from_features(head_params(params), features)[0]


def encode_stream(
    step: StepInputs, stream: StreamInputs, frozen: Tree, params: Tree, batch_stats: Tree
) -> tuple[tuple, Tree]:
    """Features of every pass of a stream, and the batch statistics after the joint pass."""
    params = merge(params, encoder_params(frozen))
    features, after = [], batch_stats
    for own in stream.passes:
        found, updated = step.model.encode(
            params,
            batch_stats,
            own.inputs,
            train=True,
            key=pass_key(step, own),
            tasks=stream.tasks,
        )
        features.append(select_tasks(found, stream.tasks))
        after = after if own.name else updated
    return tuple(features), after


def pass_key(step: StepInputs, own: ForwardPass) -> jax.Array:
    """The key of a forward pass for stochastic trunks and heads."""
    return fold_in_name(step.key, own.name) if own.name else step.key


def select_tasks(features: Any, tasks: tuple[str, ...]) -> Any:
    """The features of a stream: a single shared array, or those of its tasks by name."""
    return {n: features[n] for n in tasks} if isinstance(features, dict) else features


def features_of_passes(features: tuple, tasks: tuple[str, ...]) -> dict[str, tuple]:
    """The features that each task's head reads in every pass, by task."""
    each = [features_by_task(one, tasks) for one in features]
    return {name: tuple(one[name] for one in each) for name in tasks}
