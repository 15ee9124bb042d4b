"""The losses of a step, from the batches it samples to the loss of every task."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.execution import Execution
from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.head_key import head_params, head_stats
from mtl_jax.core.model import Model
from mtl_jax.core.policy import LearnablePolicy
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_extension import POLICY, StepContext, StepExtension
from mtl_jax.core.step_types import (
    Batch,
    StepInputs,
    StreamInputs,
    TrainData,
    TrainState,
    stream_key,
)
from mtl_jax.core.tree import Tree, merge
from mtl_jax.losses.masked import masked_mean
from mtl_jax.train.aux_inputs import make_aux_inputs
from mtl_jax.train.batch import prepare_inputs, sample_batch
from mtl_jax.train.decode import StreamOutputs, decode_stream
from mtl_jax.train.extensions import extensions_of
from mtl_jax.train.objective import (
    Objective,
    ObjectiveAux,
    StreamEncoder,
    encode_stream,
)
from mtl_jax.train.view_requests import ViewRequests, group_requests
from mtl_jax.train.views import Sampler


class Setup(NamedTuple):
    """The settings that are constant across steps."""

    run: Run
    model: Model
    execution: Execution
    shard_batch: Callable[[Any], Any]  # Shards the examples of a batch over a mesh.


class TaskLoss(NamedTuple):
    """The loss of one task, with its auxiliary state and metrics."""

    loss: jax.Array  # []
    state: Tree  # State of the auxiliary loss.
    metrics: dict[str, jax.Array]


def batches_per_step(run: Run) -> int:
    """Number of batches of each stream per step."""
    return 3 if run.balance.access == "cross_gramian" else 1


def examples_per_step(run: Run, data: TrainData) -> int:
    """Number of labelled and unlabelled examples that a step of one seed draws from all streams.

    An example counts once, however many views there are of it.
    """
    count = 0
    for stream in data.streams.values():
        views = group_requests([t for t in run.tasks if t.name in stream.labels]).base
        is_labelled = [view.startswith("labelled") for view in views]
        count += run.batch_size * any(is_labelled)
        count += run.batch_size * run.labels.unlabelled_ratio * (not all(is_labelled))
    return count * batches_per_step(run)


def objectives_at(setup: Setup, state: TrainState, data: TrainData) -> list[Objective]:
    """The objectives of a step, one per batch."""
    count = batches_per_step(setup.run)
    return [objective_at(setup, state, data, count * state.step + i) for i in range(count)]


def objective_at(setup: Setup, state: TrainState, data: TrainData, index: jax.Array) -> Objective:
    """The objective of a state on the batches of all streams at an index."""
    run, model = setup.run, setup.model
    requests, batches = batches_at(setup, state, data, index)
    step = StepInputs(run, model, state, model_key(state), data.source_model)
    streams = tuple(
        prepare_inputs(step, batch, requests[name])
        for name, batch in setup.shard_batch(batches).items()
    )
    _, frozen = partition_params(state.params, run.param_rules)
    return make_objective(step, frozen, streams, extensions_of(run))


def batches_at(
    setup: Setup, state: TrainState, data: TrainData, index: jax.Array
) -> tuple[dict[str, ViewRequests], dict[str, Batch]]:
    """The requested views and the batch of every stream at an index."""
    run = setup.run
    learnable = isinstance(run.augmentation.strong, LearnablePolicy)
    policy_state = state.extensions[POLICY] if learnable else ()
    sampler = Sampler(run, setup.execution.augment_loop, policy_state)
    requests, batches = {}, {}
    for name, stream in data.streams.items():
        requests[name] = group_requests([t for t in run.tasks if t.name in stream.labels])
        key = stream_key(state.key, name)
        batches[name] = sample_batch(sampler, stream, requests[name], key, index)
    return requests, batches


def model_key(state: TrainState) -> jax.Array:
    """The key of a step for stochastic models and methods."""
    return fold_in_name(jax.random.fold_in(state.key, state.step), "net")


def make_objective(
    step: StepInputs,
    frozen: Tree,
    streams: tuple[StreamInputs, ...],
    extensions: tuple[StepExtension, ...] = (),
) -> Objective:
    """Makes the objective whose pullbacks are balanced.

    `L_k = mean over labelled of loss + weight * mean over U of the auxiliary loss`, plus the
    losses of extensions. A stream has one joint forward pass over all its views, so BatchNorm
    normalizes over the joint batch and its statistics are updated once; separate passes do not
    update the statistics. Several streams are processed sequentially.

    Args:
      step: run, model, state and key of the step.
      frozen: the parameters that are not differentiated.
      streams: the inputs of every stream.
      extensions: the extensions of the step.
    """

    def losses_from_features(params: Tree, features: dict[str, tuple]):
        heads = merge(params, head_params(frozen))
        found, stats = [], step.state.batch_stats
        for stream in streams:
            found.append(decode_stream(step, heads, stats, stream, features))
            stats = found[-1].batch_stats
        by_task = task_losses(step, streams, tuple(found), heads)
        losses = {name: each.loss for name, each in by_task.items()}
        metrics = {
            f"{key}/{n}": v for n, each in by_task.items() for key, v in each.metrics.items()
        }
        methods = (task.name for task in step.run.tasks if task.auxiliary is not None)
        aux_state = {name: by_task[name].state for name in methods}
        outputs = tuple(each.outputs for each in found)
        context = StepContext(
            step.run, step.model, step.state, streams, outputs, features, heads, step.key
        )
        states = dict(step.state.extensions)
        for extension in extensions:
            extra = extension.extra_losses(context)
            losses |= {name: losses[name] + loss for name, loss in extra.losses.items()}
            states[extension.name] = extra.state
            metrics |= extra.metrics
        aux = ObjectiveAux(aux_state, states, metrics, head_stats(stats))
        return jnp.stack(list(losses.values())), aux

    encoders = tuple(
        StreamEncoder(each.tasks, functools.partial(encode_stream, step, each, frozen))
        for each in streams
    )
    return Objective(encoders, losses_from_features, step.state.batch_stats)


def task_losses(
    step: StepInputs,
    streams: tuple[StreamInputs, ...],
    outputs: tuple[StreamOutputs, ...],
    heads: Tree,
) -> dict[str, TaskLoss]:
    """The loss of every task, on the batch of its stream."""
    stream_of = {name: index for index, stream in enumerate(streams) for name in stream.tasks}
    precomputed = {} if step.source is None else dict(step.source.precomputed)
    losses = {}
    for task in step.run.tasks:
        index = stream_of[task.name]
        inputs = make_aux_inputs(step, task, streams[index].batch, outputs[index], heads)
        inputs = inputs._replace(precomputed=precomputed.get(task.name))
        losses[task.name] = task_loss(task, inputs, step.state.aux_state.get(task.name))
    return losses


def task_loss(task: Task, inputs: AuxInputs, state: Tree) -> TaskLoss:
    """`labelled loss + weight * mean of the auxiliary loss`, `[]`."""
    method = task.auxiliary
    if method is not None and method.has_labelled_loss:
        labelled = method.labelled_loss(inputs, task.loss, state)
    else:
        labelled = masked_mean(task.loss, inputs.logits["labelled"], inputs.labels, inputs.mask)
    if method is None:
        return TaskLoss(labelled, None, {})
    losses, state, metrics = method.update(inputs, state)
    auxiliary = losses.mean()
    metrics = {**metrics, "unlabelled_loss": auxiliary}
    return TaskLoss(labelled + method.weight * auxiliary, state, metrics)
