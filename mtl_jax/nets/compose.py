"""Puts a trunk and one head a task together as a `Net`."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.nets.embedding import Embedding
from mtl_jax.nets.layers import Layers
from mtl_jax.plan import Plan, rule_of
from mtl_jax.protocols import Net, by_task
from mtl_jax.views import Head, Relation


@dataclasses.dataclass(frozen=True)
class PerTask:
    """One copy of a trunk for each task (soft sharing), side by side on a leading axis.

    Attributes:
      trunk: the module that every task has its own parameters of.
    """

    trunk: nn.Module

    @property
    def convolutional(self) -> bool:
        """Whether the trunk convolves, which decides how steps are dispatched."""
        return self.trunk.convolutional


def compose(trunk: Any, outputs: Mapping[str, int | Head | Relation], plan: Plan = ()) -> Net:
    """Builds a net of a trunk, shared or one a task, and a linear head for each task.

    Args:
      trunk: a Linen module `(x [N, ...], train) -> features [N, D]`, which all heads share;
        an architecture, a module with a field `tasks` that gives `{task: features}`, whose
        parameters belong to the tasks if their path begins with "task"; or `PerTask`.
      outputs: number of outputs of each task's head; and under `task/name`, a `Head` more that
        reads the features of the task; and a `Relation` under any name.
      plan: what is frozen; a BatchNorm of which a parameter is frozen uses its running
        statistics in training too, and leaves them as they are.

    Returns:
      A `Net` over `{"shared": ..., "tasks": ...}` (see `mtl_jax.protocols`); features are
      `[N, D]` for each task.
    """
    heads = {
        name: nn.Dense(size) if isinstance(size, int) else Layers(*size)
        for name, size in outputs.items()
        if not isinstance(size, Relation)
    }
    tasks = tuple(name for name, size in outputs.items() if isinstance(size, int))
    reads = {name: name if name in tasks else name.rpartition("/")[0] for name in heads}
    body = (
        per_task(trunk, tasks, plan)
        if isinstance(trunk, PerTask)
        else (one_for_all(named_for(trunk, tasks), plan))
    )
    init_body, encode = body
    related = relation({name: outputs[name] for name in tasks}, outputs)

    def init(key, x):
        trunk_key, *head_keys = jax.random.split(key, 1 + len(heads))
        params, stats = init_body(trunk_key, x)
        features, _ = jax.eval_shape(lambda: encode(params, stats, x, train=False))
        drawn = {
            name: head.init(head_key, jnp.zeros(each.shape, each.dtype))["params"]
            for (name, head), head_key in zip(heads.items(), head_keys, strict=True)
            for each in (by_task(features, tasks)[reads[name]],)
        }
        drawn |= related.init(jax.random.fold_in(key, 1), by_task(features, tasks))
        return {"shared": params["shared"], "tasks": {**params["tasks"], "heads": drawn}}, stats

    def decode(params, features):
        return {
            name: head.apply({"params": params[name]}, features[reads[name]])
            for name, head in heads.items()
            if reads[name] in features
        }

    return Net(init, encode, decode, related.relate)


class Related(NamedTuple):
    """What a `Relation` adds to a net: parameters among the heads, and how they are used."""

    init: Callable[..., dict[str, Any]]
    relate: Callable[..., dict[str, jax.Array]] | None


def relation(sizes: dict[str, int], outputs: Mapping[str, Any]) -> Related:
    """The relation of the tasks of a net, if it is to have one."""
    found = [(name, spec) for name, spec in outputs.items() if isinstance(spec, Relation)]
    if not found:
        return Related(lambda key, features: {}, None)
    ((name, spec),) = found

    def module(length):
        return Embedding(tuple(sizes.items()), spec.width, length)

    def init(key, features):
        length = next(iter(features.values())).shape[-1]
        values = {task: jnp.zeros((1, size)) for task, size in sizes.items()}
        return {name: module(length).init(key, values, 0)["params"]}

    def relate(heads, values, pair):
        length = heads[name]["last"]["bias"].shape[0]
        return module(length).apply({"params": heads[name]}, values, pair)

    return Related(init, relate)


def named_for(trunk: nn.Module, tasks: tuple[str, ...]) -> nn.Module:
    """An architecture that knows its tasks; a plain trunk as it is."""
    return trunk.clone(tasks=tasks) if hasattr(trunk, "tasks") else trunk


def one_for_all(module: nn.Module, plan: Plan) -> tuple:
    """`init` and `encode` of one module, whose parameters are parted by their names."""

    def init(key, x):
        params_key, draw_key = key, jax.random.fold_in(key, 1)
        variables = module.init({"params": params_key, "draw": draw_key}, x, train=False)
        params = variables["params"]
        own = {name: leaf for name, leaf in params.items() if name.startswith("task")}
        shared = {name: leaf for name, leaf in params.items() if name not in own}
        tasks = {"own": own} if own else {}
        return {"shared": shared, "tasks": tasks}, variables.get("batch_stats", {})

    def encode(params, stats, x, *, train, key=None, tasks=None):
        params = {**params["shared"], **params["tasks"].get("own", {})}
        return passed(module, params, stats, x, train, key, hold_frozen(place_of, plan))

    return init, encode


def per_task(soft: PerTask, names: tuple[str, ...], plan: Plan) -> tuple:
    """`init` and `encode` of one copy of a trunk for each task."""

    def draw(key, x):
        variables = soft.trunk.init({"params": key, "draw": key}, x, train=False)
        return variables["params"], variables.get("batch_stats", {})

    def init(key, x):
        params, stats = jax.vmap(draw, (0, None))(jax.random.split(key, len(names)), x)
        return {"shared": {}, "tasks": {"trunk": params}}, stats

    def encode(params, stats, x, *, train, key=None, tasks=None):
        hold = hold_frozen(lambda path: ("tasks", "trunk", *path), plan)
        asked = names if tasks is None else tasks
        rows = jnp.array([names.index(name) for name in asked])

        def one(params, stats, key):
            return passed(soft.trunk, params, stats, x, train, key, hold)

        keys = None if key is None else jax.random.split(key, len(names))
        given = (params["tasks"]["trunk"], stats, keys)
        if asked != names:
            given = jax.tree.map(lambda leaf: leaf[rows], given)
        features, moved = jax.vmap(one)(*given)
        if asked != names:
            moved = jax.tree.map(lambda old, new: old.at[rows].set(new), stats, moved)
        return dict(zip(asked, features, strict=True)), moved

    return init, encode


def passed(module: nn.Module, params, stats, x, train: bool, key, hold) -> tuple:
    """Features and the next statistics of a module."""
    variables = {"params": params, "batch_stats": stats}
    draws = {} if key is None else {"draw": key}
    if not (train and stats):
        return module.apply(variables, x, train=train, rngs=draws), stats
    with nn.intercept_methods(hold):
        features, moved = module.apply(
            variables, x, train=True, rngs=draws, mutable=["batch_stats"]
        )
    return features, moved["batch_stats"]


def place_of(path: tuple[str, ...]) -> tuple[str, ...]:
    """Where in the parameter tree a module of a shared body lies."""
    return ("tasks", "own", *path) if path and path[0].startswith("task") else ("shared", *path)


def hold_frozen(place: Callable[[tuple], tuple], plan: Plan):
    """Makes a Linen interceptor that runs frozen BatchNorms on their running statistics.

    The trunk must say `use_running_average` where it calls a BatchNorm; Linen refuses to be
    told so both there and where the module is made.
    """

    def intercept(call, args, kwargs, context):
        module = context.module
        if isinstance(module, nn.BatchNorm) and context.method_name == "__call__":
            path = "/".join(place(module.path))
            names = (f"{path}/scale", f"{path}/bias")
            rules = [rule_of(plan, name) for name in names]
            if any(rule is not None and rule.frozen for rule in rules):
                return call(*args, **{**kwargs, "use_running_average": True})
        return call(*args, **kwargs)

    return intercept
