"""The step: state and data in, state and metrics out."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mtl_jax.aggregation.balance import Balanced, Tape, balance
from mtl_jax.config.optimizers import rate
from mtl_jax.config.param_rules import held
from mtl_jax.config.run import Dispatch, Run
from mtl_jax.core.model import Net
from mtl_jax.core.prng import named
from mtl_jax.core.protocols import BilevelWeighting, CrossWeighting
from mtl_jax.core.tree import average, merge
from mtl_jax.train.batch import Batch, pick, pick_held
from mtl_jax.train.meta_pseudo_labels import swapped
from mtl_jax.train.objective import Objective, objective
from mtl_jax.train.policy_update import taught
from mtl_jax.train.state import Given, TrainState, key_of, optimizer_of, trainable
from mtl_jax.train.vjp import forward


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
    optimizer = optimizer_of(run).build(run.steps, run.plan)
    names = [task.name for task in run.tasks]
    labelled = run.but(tasks=tuple(task.but(consistency=None) for task in run.tasks), coach=None)
    many = batches_a_step(run)

    def step(state: TrainState, given: Given):
        kept, frozen = trainable(run, state.params)
        now = jax.random.fold_in(state.key, state.step)
        seen = functools.partial(
            objective_on, net=net, state=state, given=given, place=place, how=dispatch.policies
        )
        first, *more = (seen(run, pick, many * state.step + i) for i in range(many))
        losses, tape, stats, rest = forward(first, kept, names, dispatch)
        consistency, metrics, coach = rest
        tape = entered(run, tape, state.step)
        outer = None
        if isinstance(run.balance, BilevelWeighting):
            held = seen(labelled, pick_held, state.step)
            outer = looking(tape, kept, held.losses, rate_at(run, state.step))
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
            outer=outer,
        )
        gradient, penalty = penalised(run, balanced.gradient, kept, frozen, given.anchor)
        updates, opt = optimizer.update(gradient, state.opt, kept)
        moved = shrunk(run, optax.apply_updates(kept, updates), state.step)
        kept, opt = stilled(tape.active, (kept, state.opt), (moved, opt), names)
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
            augment=taught(run, net, state, given, dispatch.policies),
            coach=coach,
        )
        return state, metrics

    return step if run.coach is None else functools.partial(beside, run, step)


def beside(run: Run, step: Callable, state: TrainState, given: Given) -> tuple[TrainState, dict]:
    """The step of a run with a coach: the teacher's `step`, within which the student studies."""
    after, metrics = step(swapped(state), given)
    student = after.coach
    ema = average(student.ema, student.params, warmed(run.ema, state.step))
    return swapped(after._replace(coach=student._replace(ema=ema))), metrics


def batches_a_step(run: Run) -> int:
    """How many batches of each stream a step takes."""
    return 3 if isinstance(run.balance, CrossWeighting) else 1


def objective_on(
    run: Run,
    choose: Callable[..., Batch],
    number: jax.Array,
    *,
    net: Net,
    state: TrainState,
    given: Given,
    place: Callable[[Any], Any],
    how: str,
) -> Objective:
    """The objective of a state on the batches of a number, one of every stream by `choose`."""
    _, frozen = trainable(run, state.params)
    batches = {
        name: choose(run, stream, key_of(state, name), number, state.augment, how)
        for name, stream in given.streams.items()
    }
    draw = named(jax.random.fold_in(state.key, state.step), "net")
    return objective(run, net, state, frozen, place(batches), draw, given.anchor)


def entered(run: Run, tape: Tape, step: jax.Array) -> Tape:
    """The tape of the tasks that the run's scheme trains at a step."""
    if run.scheme is None:
        return tape
    active = run.scheme.active(step, run.steps, len(run.tasks))

    def pull(weights):
        return tape.pull(jnp.where(active, weights, 0.0))

    return tape._replace(pull=pull, active=active)


def looking(
    tape: Tape, kept: Any, held: Callable[[Any], jax.Array], rate: jax.Array
) -> Callable[[jax.Array], jax.Array]:
    """A function from weights `[K]` to the held-out losses `[K]` after one plain step with them."""

    def outer(weights):
        return held(jax.tree.map(lambda p, g: p - rate * g, kept, tape.pull(weights)))

    return outer


def stilled(active: jax.Array | None, before: Any, after: Any, names: list[str]) -> Any:
    """What a step changes, except of heads and trunks of tasks that do not train at it.

    It takes parameters and the optimizer's state alike, whose moments have the same paths.
    """
    if active is None:
        return after

    def kept(path, new, old):
        keys = [entry.key for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        if keys[:2] == ["tasks", "heads"]:
            owner = keys[2] if keys[2] in names else keys[2].rpartition("/")[0]
            # What relates all tasks has no owner.
            return jnp.where(active[names.index(owner)], new, old) if owner else new
        if keys[:2] == ["tasks", "trunk"]:
            return jnp.where(active.reshape(-1, *(1,) * (new.ndim - 1)), new, old)
        return new

    return jax.tree_util.tree_map_with_path(kept, after, before)


def rate_at(run: Run, step: jax.Array) -> jax.Array:
    """The run's learning rate at a step `[]`."""
    given = rate(optimizer_of(run), run.steps)
    return given(step) if callable(given) else jnp.float32(given)


def shrunk(run: Run, kept: Any, step: jax.Array) -> Any:
    """Parameters after the proximal steps of the run's terms that are not smooth."""
    for term in run.proximal:
        kept = term.shrink(kept, rate_at(run, step))
    return kept


def penalised(run: Run, gradient: Any, kept: Any, frozen: Any, anchor: Any) -> tuple:
    """The gradient with that of the run's penalties, and what to report of them."""
    if not run.penalties and not any(rule.anchor for rule in run.plan):
        return gradient, {}
    penalty, push = jax.value_and_grad(penalties(run, frozen, anchor))(kept)
    return jax.tree.map(jnp.add, gradient, push), {"penalty": penalty}


def penalties(run: Run, frozen: Any, anchor: Any) -> Callable[[Any], jax.Array]:
    """The sum of the run's penalties as a function of the trained parameters."""
    start = None if anchor is None else anchor.params

    def total(kept):
        params = merge(kept, frozen)
        terms = (penalty(params, start) for penalty in run.penalties)
        return sum(terms, held(run.plan, kept, start))

    return total


def warmed(momentum: float, step: jax.Array) -> jax.Array:
    """Momentum that starts low, `min(m, (1 + t) / (10 + t))`: the random start is forgotten."""
    count = step.astype(jnp.float32)
    return jnp.minimum(momentum, (1.0 + count) / (10.0 + count))


def report(run: Run, losses: jax.Array, balanced: Balanced) -> dict[str, jax.Array]:
    """Names the losses and weights of the tasks."""
    names = [task.name for task in run.tasks]
    metrics = {f"loss/{name}": loss for name, loss in zip(names, losses, strict=True)}
    return metrics | {f"weight/{name}": w for name, w in zip(names, balanced.weights, strict=True)}
