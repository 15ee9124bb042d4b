"""The task losses on a step's batches, split at the features into encoder and heads."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Run
from mtl_jax.core.model import Model, encoder_params, features_by_task, restore_counters
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_extension import StepContext, StepExtension
from mtl_jax.core.step_types import SourceModel, StreamInputs, TrainState
from mtl_jax.core.tree import Tree, merge
from mtl_jax.train.aux_inputs import decode_stream, make_aux_inputs, task_loss


class StreamEncoder(NamedTuple):
    """The encoder of one stream; features are a single array if all its tasks share them."""

    tasks: tuple[str, ...]
    encode: Callable[[Tree, Tree], tuple]  # (params, batch_stats) -> features by pass, batch_stats


class ObjectiveAux(NamedTuple):
    """Auxiliary outputs of the losses."""

    aux_state: dict[str, Tree]
    extensions: dict[str, Tree]
    metrics: dict[str, jax.Array]


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
        return self.losses_from_features(params["tasks"]["heads"], features)[0]


def make_objective(
    run: Run,
    model: Model,
    state: TrainState,
    frozen: Tree,
    streams: tuple[StreamInputs, ...],
    key: jax.Array,
    source: SourceModel | None = None,
    extensions: tuple[StepExtension, ...] = (),
) -> Objective:
    """Makes the objective whose pullbacks are balanced.

    `L_k = mean over labelled of loss + weight * mean over U of the auxiliary loss`, plus the
    losses of extensions. A stream has one joint forward pass over all its views, so BatchNorm
    normalizes over the joint batch and its statistics are updated once; separate passes do not
    update the statistics. Several streams are processed sequentially.

    Args:
      run: the run configuration.
      model: the model of the run.
      state: the state before the step.
      frozen: the parameters that are not differentiated.
      streams: the inputs of every stream.
      key: key for stochastic models and methods.
      source: the source model (`init_from`), if any.
      extensions: the extensions of the step.
    """
    stream_of = {name: index for index, stream in enumerate(streams) for name in stream.tasks}
    precomputed = {} if source is None else dict(source.precomputed)

    def losses_from_features(params, features):
        heads = merge(params, frozen["tasks"]["heads"])
        found = tuple(decode_stream(model, heads, stream, features) for stream in streams)
        losses, aux_state, metrics = {}, {}, {}
        for task in run.tasks:
            index = stream_of[task.name]
            batch = streams[index].batch
            inputs = make_aux_inputs(task, batch, found[index], model, heads, key)
            own = precomputed.get(task.name)
            inputs = inputs._replace(progress=state.step / run.steps, precomputed=own)
            each = task_loss(task, inputs, state.aux_state.get(task.name))
            losses[task.name] = each.loss
            if task.auxiliary is not None:
                aux_state[task.name] = each.state
            metrics |= {f"{name}/{task.name}": value for name, value in each.metrics.items()}
        outputs = tuple(each.outputs for each in found)
        context = StepContext(run, model, state, streams, outputs, features, heads, key)
        states = dict(state.extensions)
        for extension in extensions:
            extra = extension.extra_losses(context)
            losses |= {name: losses[name] + loss for name, loss in extra.losses.items()}
            states[extension.name] = extra.state
            metrics |= extra.metrics
        return jnp.stack(list(losses.values())), ObjectiveAux(aux_state, states, metrics)

    encoders = tuple(
        StreamEncoder(s.tasks, functools.partial(encode_stream, model, s, frozen, key))
        for s in streams
    )
    return Objective(encoders, losses_from_features, state.batch_stats)


def encode_stream(
    model: Model, stream: StreamInputs, frozen: Tree, key: jax.Array, params: Tree, stats: Tree
) -> tuple[tuple, Tree]:
    """Features of every pass of a stream, and the batch statistics after the joint pass."""
    params = merge(params, encoder_params(frozen))
    features, after = [], stats
    for own in stream.passes:
        own_key = fold_in_name(key, own.name) if own.name else key
        found, updated = model.encode(
            params, stats, own.images, train=True, key=own_key, tasks=stream.tasks
        )
        features.append(select_tasks(found, stream.tasks))
        after = after if own.name else updated
    return tuple(features), after


def select_tasks(features: Any, tasks: tuple[str, ...]) -> Any:
    """The features of a stream: a single shared array, or those of its tasks by name."""
    return {n: features[n] for n in tasks} if isinstance(features, dict) else features


def features_of_passes(features: tuple, tasks: tuple[str, ...]) -> dict[str, tuple]:
    """The features that each task's head reads in every pass, by task."""
    each = [features_by_task(one, tasks) for one in features]
    return {name: tuple(one[name] for one in each) for name in tasks}
