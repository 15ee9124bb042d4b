"""The objectives of a step: the losses on its batches as functions of the parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mtl_jax.config.execution import Execution
from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.core.model import Model
from mtl_jax.core.policy import LearnablePolicy
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_extension import POLICY
from mtl_jax.core.step_types import StepInputs, TrainData, TrainState, stream_key
from mtl_jax.train.batch import Sampler, sample_batch, sample_heldout_batch
from mtl_jax.train.extensions import extensions_of
from mtl_jax.train.inputs import prepare_inputs
from mtl_jax.train.objective import Objective, make_objective
from mtl_jax.train.view_requests import group_requests


class Setup(NamedTuple):
    """The settings that are constant across steps."""

    run: Run
    model: Model
    execution: Execution
    shard_batch: Callable[[Any], Any]  # Shards the examples of a batch over a mesh.


def batches_per_step(run: Run) -> int:
    """Number of batches of each stream per step."""
    return 3 if run.balance.access == "cross_gramian" else 1


def objectives_at(setup: Setup, state: TrainState, data: TrainData) -> list[Objective]:
    """The objectives of a step, one per batch."""
    count = batches_per_step(setup.run)
    return [objective_at(setup, state, data, count * state.step + i) for i in range(count)]


def objective_at(setup: Setup, state: TrainState, data: TrainData, index: jax.Array) -> Objective:
    """The objective of a state on the batches of all streams at an index."""
    run, model, execution, shard_batch = setup
    learnable = isinstance(run.augmentation.strong, LearnablePolicy)
    policy_state = state.extensions[POLICY] if learnable else ()
    sampler = Sampler(run, execution.augment_loop, policy_state)
    requests, batches = {}, {}
    for name, stream in data.streams.items():
        requests[name] = group_requests([t for t in run.tasks if t.name in stream.labels])
        key = stream_key(state, name)
        batches[name] = sample_batch(sampler, stream, requests[name], key, index)
    step = StepInputs(run, model, state, model_key(state), data.source_model)
    streams = tuple(
        prepare_inputs(step, batch, requests[name]) for name, batch in shard_batch(batches).items()
    )
    _, frozen = partition_params(state.params, run.param_rules)
    return make_objective(step, frozen, streams, extensions_of(run))


def heldout_objective(setup: Setup, state: TrainState, data: TrainData) -> Objective:
    """The labelled-loss objective of a state on a batch of held-out examples."""
    tasks = tuple(task.replace(auxiliary=None) for task in setup.run.tasks)
    run = setup.run.replace(tasks=tasks, extensions=())
    batches = {
        name: sample_heldout_batch(run, stream, stream_key(state, name), state.step)
        for name, stream in data.streams.items()
    }
    step, requests = StepInputs(run, setup.model, state, model_key(state)), group_requests(tasks)
    streams = tuple(
        prepare_inputs(step, batch, requests) for batch in setup.shard_batch(batches).values()
    )
    _, frozen = partition_params(state.params, run.param_rules)
    return make_objective(step, frozen, streams)


def model_key(state: TrainState) -> jax.Array:
    """The key of a step for stochastic models and methods."""
    return fold_in_name(jax.random.fold_in(state.key, state.step), "net")
