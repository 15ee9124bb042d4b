"""The step: state and data in, state and metrics out."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mtl_jax.balance import Balanced, balance
from mtl_jax.keys import named
from mtl_jax.protocols import CrossWeighting, Net
from mtl_jax.run import Dispatch, Run
from mtl_jax.train.batch import pick
from mtl_jax.train.objective import objective
from mtl_jax.train.state import Given, TrainState, trainable
from mtl_jax.train.tape import forward
from mtl_jax.trees import average, merge


def build(
    run: Run, net: Net, dispatch: Dispatch, place: Callable[[Any], Any] = lambda batch: batch
) -> Callable[[TrainState, Given], tuple[TrainState, dict[str, jax.Array]]]:
    """Makes the pure training step of one seed.

    Args:
      run: what is trained.
      net: its net.
      dispatch: how pull-backs lie side by side.
      place: put around the batch; a mesh lays its examples over devices with it.

    Returns:
      `step(state, given) -> (state, metrics)`; every metric is a scalar.
    """
    optimizer = run.optimizer.build(run.steps)
    names = [task.name for task in run.tasks]
    batches = 3 if isinstance(run.balance, CrossWeighting) else 1

    def step(state: TrainState, given: Given):
        kept, frozen = trainable(run, state.params)
        now = jax.random.fold_in(state.key, state.step)
        draw = named(now, "net")
        first, *more = (
            objective(run, net, state, frozen, place(pick(run, given, state.key, at)), draw)
            for at in (batches * state.step + i for i in range(batches))
        )
        losses, tape, stats, (consistency, metrics) = forward(first, kept, names, dispatch)
        balanced = balance(
            run.balance,
            losses,
            tape,
            state.balance,
            named(now, "balance"),
            space=run.weighing.space,
            heads=run.weighing.heads,
            scale=run.weighing.scale,
            others=tuple(forward(each, kept, names, dispatch)[1] for each in more) or None,
        )
        gradient, penalty = penalised(run, balanced.gradient, kept, frozen, given.anchor)
        updates, opt = optimizer.update(gradient, state.opt, kept)
        kept = optax.apply_updates(kept, updates)
        params = merge(kept, frozen)
        watched = balanced.state
        if hasattr(run.balance, "observe"):
            watched = run.balance.observe(first.losses(kept), watched)
        metrics = {**metrics, **penalty, **report(run, losses, balanced)}
        state = TrainState(
            step=state.step + 1,
            key=state.key,
            params=params,
            stats=stats,
            ema=average(state.ema, params, warmed(run.ema, state.step)),
            opt=opt,
            balance=watched,
            consistency=consistency,
        )
        return state, metrics

    return step


def penalised(run: Run, gradient: Any, kept: Any, frozen: Any, anchor: Any) -> tuple:
    """The gradient with that of the run's penalties, and what to report of them."""
    if not run.penalties:
        return gradient, {}
    penalty, push = jax.value_and_grad(penalties(run, frozen, anchor))(kept)
    return jax.tree.map(jnp.add, gradient, push), {"penalty": penalty}


def penalties(run: Run, frozen: Any, anchor: Any) -> Callable[[Any], jax.Array]:
    """The sum of the run's penalties as a function of the trained parameters."""

    def total(kept):
        params = merge(kept, frozen)
        return sum((penalty(params, anchor) for penalty in run.penalties), jnp.zeros(()))

    return total


def warmed(momentum: float, step: jax.Array) -> jax.Array:
    """Momentum that starts low, `min(m, (1 + t) / (10 + t))`: the random start is forgotten."""
    count = step.astype(jnp.float32)
    return jnp.minimum(momentum, (1.0 + count) / (10.0 + count))


def report(run: Run, losses: jax.Array, balanced: Balanced) -> dict[str, jax.Array]:
    """Names the losses and weights of the tasks, and the cosine of every pair."""
    names = [task.name for task in run.tasks]
    metrics = {f"loss/{name}": loss for name, loss in zip(names, losses, strict=True)}
    metrics |= {f"weight/{name}": w for name, w in zip(names, balanced.weights, strict=True)}
    if balanced.cosines is not None:
        for i, one in enumerate(names):
            for j, other in enumerate(names[:i]):
                metrics[f"cosine/{other}-{one}"] = balanced.cosines[i, j]
    return metrics
