"""Gradient and parameter updates of a step: task masks, penalties, proximal terms."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.balance import TaskPullback
from mtl_jax.config.param_rules import l2_sp_penalty
from mtl_jax.config.run import Run
from mtl_jax.config.transforms import learning_rate
from mtl_jax.core.head_key import HeadKey
from mtl_jax.core.step_types import SourceModel
from mtl_jax.core.tree import Tree, merge
from mtl_jax.train.state import optimizer_of


def mask_inactive_tasks(run: Run, pullback: TaskPullback, step: jax.Array) -> TaskPullback:
    """Restricts the pullback to the tasks that the task schedule trains at a step."""
    if run.task_schedule is None:
        return pullback
    active = run.task_schedule.active(step, run.steps, len(run.tasks))

    def vjp(weights):
        return pullback.vjp(jnp.where(active, weights, 0.0))

    return pullback._replace(vjp=vjp, active_tasks=active)


def heldout_loss_fn(
    pullback: TaskPullback, params: Tree, losses: Callable[[Tree], jax.Array], rate: jax.Array
) -> Callable[[jax.Array], jax.Array]:
    """A function from weights `[K]` to held-out losses `[K]` after one SGD step with them."""

    def heldout(weights):
        return losses(jax.tree.map(lambda p, g: p - rate * g, params, pullback.vjp(weights)))

    return heldout


def freeze_inactive(
    active: jax.Array | None, before: Any, after: Any, names: tuple[str, ...]
) -> Any:
    """Resets heads and trunks of inactive tasks to their values before the step.

    Applies to parameters and to optimizer states, whose moments have the same paths.
    """
    if active is None:
        return after

    def where_active(path, new, old):
        keys = [entry.key for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        # The states of several optimizers have the name of each before that of its parameters.
        keys = keys[next((at for at, key in enumerate(keys) if key in ("shared", "tasks")), 0) :]
        if keys[:2] == ["tasks", "heads"]:
            task = HeadKey.parse(keys[2]).task
            return jnp.where(active[names.index(task)], new, old) if task else new
        if keys[:2] == ["tasks", "trunk"]:
            return jnp.where(active.reshape(-1, *(1,) * (new.ndim - 1)), new, old)
        return new

    return jax.tree_util.tree_map_with_path(where_active, after, before)


def learning_rate_at(run: Run, step: jax.Array) -> jax.Array:
    """The learning rate of a run at a step `[]`."""
    rate = learning_rate(optimizer_of(run), run.steps)
    return rate(step) if callable(rate) else jnp.float32(rate)


def apply_proximal(run: Run, params: Tree, step: jax.Array) -> Tree:
    """Applies the proximal operators of the run's non-smooth terms."""
    for term in run.regularization.proximal:
        params = term.prox(params, learning_rate_at(run, step))
    return params


def add_penalty_gradient(
    run: Run, gradient: Tree, params: Tree, frozen: Tree, source_model: SourceModel | None
) -> tuple[Tree, dict[str, jax.Array]]:
    """Adds the gradient of the run's penalties; also returns their metrics."""
    if not run.regularization.penalties and not any(rule.l2_sp for rule in run.param_rules):
        return gradient, {}
    source = None if source_model is None else source_model.params

    def penalty_fn(params):
        merged = merge(params, frozen)
        terms = (penalty(merged, source) for penalty in run.regularization.penalties)
        return sum(terms, l2_sp_penalty(run.param_rules, params, source))

    penalty, own = jax.value_and_grad(penalty_fn)(params)
    return jax.tree.map(jnp.add, gradient, own), {"penalty": penalty}
