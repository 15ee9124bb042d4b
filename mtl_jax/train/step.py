"""The pure training step, from state and data to state and metrics."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from mtl_jax.aggregation.balance import BalancedGradient, balance
from mtl_jax.config.execution import Execution
from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.core.model import Model
from mtl_jax.core.policy import LearnablePolicy
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_extension import POLICY, AfterContext
from mtl_jax.core.step_types import TrainData, TrainState, stream_key
from mtl_jax.core.tree import ema_decay_at, ema_update, merge
from mtl_jax.train.batch import Sampler, sample_batch, sample_heldout_batch
from mtl_jax.train.extensions import extensions_of
from mtl_jax.train.inputs import prepare_inputs
from mtl_jax.train.objective import Objective, make_objective
from mtl_jax.train.state import optimizer_of
from mtl_jax.train.updates import (
    add_penalty_gradient,
    apply_proximal,
    freeze_inactive,
    heldout_loss_fn,
    learning_rate_at,
    mask_inactive_tasks,
)
from mtl_jax.train.view_requests import group_requests
from mtl_jax.train.vjp import forward_vjp

TrainStep = Callable[[TrainState, TrainData], tuple[TrainState, dict[str, jax.Array]]]


class Setup(NamedTuple):
    """The settings that are constant across steps."""

    run: Run
    model: Model
    execution: Execution
    shard_batch: Callable[[Any], Any]  # Shards the examples of a batch over a mesh.


def make_train_step(
    run: Run, model: Model, execution: Execution, shard_batch: Callable = lambda batch: batch
) -> TrainStep:
    """Makes the pure training step of one seed.

    Args:
      run: the run configuration.
      model: the model of the run.
      execution: how Jacobians and augmentations are computed.
      shard_batch: applied to the batch.

    Returns:
      `step(state, data) -> (state, metrics)`; every metric is a scalar.
    """
    setup = Setup(run, model, execution, shard_batch)
    optimizer = optimizer_of(run).build(run.steps, run.param_rules)
    names = tuple(task.name for task in run.tasks)
    extensions = extensions_of(run)

    def step(state: TrainState, data: TrainData):
        for extension in extensions:
            state = extension.before_step(state)
        params, frozen = partition_params(state.params, run.param_rules)
        first, *more = objectives_at(setup, state, data)
        losses, pullback, batch_stats, aux = forward_vjp(first, params, names, execution)
        pullback = mask_inactive_tasks(run, pullback, state.step)
        heldout = None
        if run.balance.access == "heldout_losses":
            rate = learning_rate_at(run, state.step)
            objective = heldout_objective(setup, state, data)
            heldout = heldout_loss_fn(pullback, params, objective.losses, rate)
        pullback = pullback._replace(
            extra_batches=tuple(forward_vjp(m, params, names, execution).pullback for m in more),
            heldout_losses=heldout,
        )
        key = fold_in_name(jax.random.fold_in(state.key, state.step), "balance")
        balanced = balance(
            run.balance, losses, pullback, state.balance_state, key, run.balance_options
        )
        source = None if data.source_model is None else data.source_model.params
        gradient, penalty = add_penalty_gradient(run, balanced.gradient, params, frozen, source)
        updates, opt_state = optimizer.update(gradient, state.opt_state, params)
        updated = apply_proximal(run, optax.apply_updates(params, updates), state.step)
        before, after = (params, state.opt_state), (updated, opt_state)
        updated, opt_state = freeze_inactive(pullback.active_tasks, before, after, names)
        whole = merge(updated, frozen)
        result = TrainState(
            step=state.step + 1,
            key=state.key,
            params=whole,
            batch_stats=batch_stats,
            ema=ema_update(state.ema, whole, ema_decay_at(run.evaluation.ema_decay, state.step)),
            opt_state=opt_state,
            balance_state=balanced.state,
            aux_state=aux.aux_state,
            extensions=aux.extensions,
        )
        context = AfterContext(run, model, state, data, first.losses, execution.augment_loop)
        for extension in extensions:
            result = extension.after_step(context, result)
        return result, {**aux.metrics, **penalty, **step_metrics(names, losses, balanced)}

    return step


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
    _, frozen = partition_params(state.params, run.param_rules)
    key, source = model_key(state), data.source_model
    streams = tuple(
        prepare_inputs(run, model, state, batch, requests[name], key, source)
        for name, batch in shard_batch(batches).items()
    )
    extensions = extensions_of(run)
    return make_objective(run, model, state, frozen, streams, key, source, extensions)


def heldout_objective(setup: Setup, state: TrainState, data: TrainData) -> Objective:
    """The labelled-loss objective of a state on a batch of held-out examples."""
    tasks = tuple(task.replace(auxiliary=None) for task in setup.run.tasks)
    run = setup.run.replace(tasks=tasks, extensions=())
    batches = {
        name: sample_heldout_batch(run, stream, stream_key(state, name), state.step)
        for name, stream in data.streams.items()
    }
    _, frozen = partition_params(state.params, run.param_rules)
    key, requests = model_key(state), group_requests(run.tasks)
    streams = tuple(
        prepare_inputs(run, setup.model, state, batch, requests, key)
        for batch in setup.shard_batch(batches).values()
    )
    return make_objective(run, setup.model, state, frozen, streams, key)


def model_key(state: TrainState) -> jax.Array:
    """The key of a step for stochastic models and methods."""
    return fold_in_name(jax.random.fold_in(state.key, state.step), "net")


def step_metrics(
    names: tuple[str, ...], losses: jax.Array, balanced: BalancedGradient
) -> dict[str, jax.Array]:
    """Metrics of the losses and weights by task."""
    metrics = {f"loss/{name}": loss for name, loss in zip(names, losses, strict=True)}
    return metrics | {f"weight/{name}": w for name, w in zip(names, balanced.weights, strict=True)}
