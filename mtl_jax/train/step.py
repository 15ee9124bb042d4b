"""The pure training step, from state and data to state and metrics."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import optax

from mtl_jax.aggregation.balance import BalancedGradient, TaskPullback, balance
from mtl_jax.config.execution import Execution
from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.core.model import Model
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_extension import AfterContext, StepExtension
from mtl_jax.core.step_types import StepInputs, TrainData, TrainState, stream_key
from mtl_jax.core.tree import Tree, ema_decay_at, ema_update, merge
from mtl_jax.train.batch import prepare_inputs, sample_heldout_batch
from mtl_jax.train.extensions import extensions_of
from mtl_jax.train.objective import Objective
from mtl_jax.train.state import optimizer_of
from mtl_jax.train.step_losses import Setup, make_objective, model_key, objectives_at
from mtl_jax.train.updates import (
    add_penalty_gradient,
    apply_proximal,
    freeze_inactive,
    heldout_loss_fn,
    learning_rate_at,
    mask_inactive_tasks,
)
from mtl_jax.train.view_requests import group_requests
from mtl_jax.train.vjp import Forward, forward_vjp

TrainStep = Callable[[TrainState, TrainData], tuple[TrainState, dict[str, jax.Array]]]


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
    optimizer = optimizer_of(run)
    transform = optimizer.build(run.steps, run.param_rules)
    names = tuple(task.name for task in run.tasks)
    extensions = extensions_of(run)

    def step(state: TrainState, data: TrainData):
        state = apply_before_step(extensions, state)
        params, frozen = partition_params(state.params, run.param_rules)
        objectives = objectives_at(setup, state, data)
        gradient_fn = functools.partial(gradient_at, setup, objectives, state=state, data=data)
        gradient, found = optimizer.gradient(gradient_fn, params, state.opt_state)
        pullback, aux = found.forward.pullback, found.forward.aux
        updates, opt_state = transform.update(gradient, state.opt_state, params)
        updated = apply_proximal(run, optax.apply_updates(params, updates), state.step)
        before, after = (params, state.opt_state), (updated, opt_state)
        updated, opt_state = freeze_inactive(pullback.active_tasks, before, after, names)
        new_params = merge(updated, frozen)
        decay = ema_decay_at(run.evaluation.ema_decay, state.step)
        result = state._replace(
            step=state.step + 1,
            params=new_params,
            batch_stats=found.forward.batch_stats,
            ema=update_average(run, state.ema, updated, decay),
            opt_state=opt_state,
            balance_state=found.balanced.state,
            aux_state=aux.aux_state,
            extensions=aux.extensions,
        )
        losses = objectives[0].losses
        context = AfterContext(run, model, state, data, losses, execution.augment_loop)
        result = apply_after_step(extensions, context, result)
        metrics = step_metrics(names, found.forward.losses, found.balanced)
        return result, {**aux.metrics, **found.penalty, **metrics}

    return step


def update_average(run: Run, average: Tree, updated: Tree, decay: jax.Array) -> Tree:
    """The averaged parameters after a step; those that are frozen stay as they are."""
    trained, frozen = partition_params(average, run.param_rules)
    return merge(ema_update(trained, updated, decay), frozen)


class Pass(NamedTuple):
    """A forward and backward pass."""

    forward: Forward
    balanced: BalancedGradient
    penalty: dict[str, jax.Array]  # Metrics.


def gradient_at(
    setup: Setup, objectives: list[Objective], params: Tree, state: TrainState, data: TrainData
) -> tuple[Tree, Pass]:
    """The gradient of a step's losses and penalties at trained parameters, and its pass."""
    run = setup.run
    forward = forward_at(setup, objectives, params, state, data)
    balanced = balance_losses(run, forward.losses, forward.pullback, state)
    _, frozen = partition_params(state.params, run.param_rules)
    gradient, penalty = add_penalty_gradient(
        run, balanced.gradient, params, frozen, data.source_model
    )
    return gradient, Pass(forward, balanced, penalty)


def forward_at(
    setup: Setup, objectives: list[Objective], params: Tree, state: TrainState, data: TrainData
) -> Forward:
    """The losses of a step's objectives, with all pullbacks that the balance asks for."""
    run, execution = setup.run, setup.execution
    names = tuple(task.name for task in run.tasks)
    forward, *more = [forward_vjp(each, params, names, execution) for each in objectives]
    pullback = mask_inactive_tasks(run, forward.pullback, state.step)
    pullback = pullback._replace(extra_batches=tuple(each.pullback for each in more))
    if run.balance.access == "heldout_losses":
        pullback = with_heldout_losses(setup, pullback, params, state, data)
    return forward._replace(pullback=pullback)


def apply_before_step(extensions: tuple[StepExtension, ...], state: TrainState) -> TrainState:
    """The state after the extensions' `before_step`."""
    for extension in extensions:
        state = extension.before_step(state)
    return state


def apply_after_step(
    extensions: tuple[StepExtension, ...], context: AfterContext, state: TrainState
) -> TrainState:
    """The state after the extensions' `after_step`."""
    for extension in extensions:
        state = extension.after_step(context, state)
    return state


def with_heldout_losses(
    setup: Setup, pullback: TaskPullback, params: Tree, state: TrainState, data: TrainData
) -> TaskPullback:
    """The pullback with the held-out losses after a step, for a bilevel weighting."""
    rate = learning_rate_at(setup.run, state.step)
    losses = heldout_objective(setup, state, data).losses
    return pullback._replace(heldout_losses=heldout_loss_fn(pullback, params, losses, rate))


def heldout_objective(setup: Setup, state: TrainState, data: TrainData) -> Objective:
    """The labelled-loss objective of a state on a batch of held-out examples."""
    tasks = tuple(task.replace(auxiliary=None) for task in setup.run.tasks)
    run = setup.run.replace(tasks=tasks, extensions=())
    batches = {
        name: sample_heldout_batch(run, stream, stream_key(state.key, name), state.step)
        for name, stream in data.streams.items()
    }
    step, requests = StepInputs(run, setup.model, state, model_key(state)), group_requests(tasks)
    streams = tuple(
        prepare_inputs(step, batch, requests) for batch in setup.shard_batch(batches).values()
    )
    _, frozen = partition_params(state.params, run.param_rules)
    return make_objective(step, frozen, streams)


def balance_losses(
    run: Run, losses: jax.Array, pullback: TaskPullback, state: TrainState
) -> BalancedGradient:
    """The combined gradient of the losses `[K]` by the run's balance."""
    key = fold_in_name(jax.random.fold_in(state.key, state.step), "balance")
    return balance(run.balance, losses, pullback, state.balance_state, key, run.balance_options)


def step_metrics(
    names: tuple[str, ...], losses: jax.Array, balanced: BalancedGradient
) -> dict[str, jax.Array]:
    """Metrics of the losses and weights by task."""
    metrics = {f"loss/{name}": loss for name, loss in zip(names, losses, strict=True)}
    return metrics | {f"weight/{name}": w for name, w in zip(names, balanced.weights, strict=True)}
