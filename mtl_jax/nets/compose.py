"""Puts a trunk and one head a task together as a `Net`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.config.param_rules import Plan
from mtl_jax.core.head_specs import Free, Head, Relation
from mtl_jax.core.model import Net, by_task, vectors
from mtl_jax.core.prng import named
from mtl_jax.nets.cross_task_embedding import Embedding
from mtl_jax.nets.encoder import body
from mtl_jax.nets.heads import Layers, Stack


def compose(
    trunk: Any,
    outputs: Mapping[str, int | Head | Free | Relation],
    plan: Plan = (),
    maps: bool = False,
) -> Net:
    """Builds a net of a trunk, shared or one a task, and a linear head for each task.

    Args:
      trunk: a Linen module `(x [N, ...], train) -> features [N, D]`, which all heads share;
        an architecture, a module with a field `tasks` that gives `{task: features}`, whose
        parameters belong to the tasks if their path begins with "task"; `PerTask`; or a trunk
        with parameters added, such as `LoRA`.
      outputs: number of outputs of each task's head; and under `task/name`, a `Head` more that
        reads the features of the task, or a `Free` one that reads what it is given; and a
        `Relation` under any name.
      plan: what is frozen; a BatchNorm of which a parameter is frozen uses its running
        statistics in training too, and leaves them as they are.
      maps: whether the encoder gives what single layers of the trunk gave too, as `Read`.

    Returns:
      A `Net` over `{"shared": ..., "tasks": ...}` (see `mtl_jax.core.protocols`); features are
      `[N, D]` for each task.
    """
    heads = {
        name: nn.Dense(size) if isinstance(size, int) else Layers(*size)
        for name, size in outputs.items()
        if isinstance(size, int | Head)
    }
    alone = {name: spec for name, spec in outputs.items() if isinstance(spec, Free)}
    tasks = tuple(name for name, size in outputs.items() if isinstance(size, int))
    reads = {name: name if name in tasks else name.rpartition("/")[0] for name in heads}
    init_body, encode = body(trunk, tasks, plan, maps)
    related = relation({name: outputs[name] for name in tasks}, outputs)

    def init(key, x):
        trunk_key, *head_keys = jax.random.split(key, 1 + len(heads))
        params, stats = init_body(trunk_key, x)
        features, _ = jax.eval_shape(lambda: encode(params, stats, x, train=False))
        read = {name: vectors(each) for name, each in by_task(features, tasks).items()}
        drawn = {
            name: head.init(head_key, jnp.zeros(each.shape, each.dtype))["params"]
            for (name, head), head_key in zip(heads.items(), head_keys, strict=True)
            for each in (read[reads[name]],)
        }
        drawn |= related.init(jax.random.fold_in(key, 1), read)
        for name, spec in alone.items():
            size = spec.size or spec.times * read[name.rpartition("/")[0]].shape[-1]
            drawn[name] = stack(spec).init(named(key, name), jnp.zeros((1, size)))["params"]
        return {"shared": params["shared"], "tasks": {**params["tasks"], "heads": drawn}}, stats

    def decode(params, features):
        return {
            name: applied(head, params[name], vectors(features[reads[name]]))
            for name, head in heads.items()
            if reads[name] in features
        }

    def call(params, name, x):
        head = stack(alone[name]) if name in alone else heads[name]
        return head.apply({"params": params[name]}, x)

    return Net(init, encode, decode, related.relate, call)


def applied(head: nn.Module, params: Any, x: jax.Array) -> jax.Array:
    """Outputs `[..., C]` of a head, through an axis of one."""
    # Or XLA would take the gradient of a kernel with few outputs as `x^T g`, which on a CPU
    # takes six times as long as `(g^T x)^T`, which it takes of batched products.
    params, x = jax.tree.map(lambda array: array[None], (params, x))
    return jax.vmap(lambda params, x: head.apply({"params": params}, x))(params, x)[0]


def stack(spec: Free) -> Stack:
    """The module of a head that stands alone."""
    return Stack(spec.outputs, spec.widths)


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
