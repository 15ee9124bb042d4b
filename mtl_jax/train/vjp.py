"""Forward pass on a step's batches, and the pullbacks of the losses."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.balance import TaskPullback
from mtl_jax.config.execution import Execution
from mtl_jax.core.head_key import (
    encoder_params,
    encoder_stats,
    head_params,
    join_params,
    join_stats,
)
from mtl_jax.core.model import restore_counters
from mtl_jax.core.tree import Tree
from mtl_jax.train.objective import Objective, ObjectiveAux, features_of_passes


class Forward(NamedTuple):
    """The losses of a step and their pullbacks."""

    losses: jax.Array  # [K]
    pullback: TaskPullback
    batch_stats: Tree
    aux: ObjectiveAux


class StreamVJP(NamedTuple):
    """The pullback of one stream's encoder."""

    tasks: tuple[str, ...]
    vjp: Callable[[Any], tuple]
    is_shared: bool  # Whether all heads read the same array of features.


class TaskVJP(NamedTuple):
    """Pullbacks of K losses through heads and encoders.

    Each head reads its own features, so one backward pass through all heads gives every row of the
    Jacobian with respect to the representation. Only the encoder needs K backward passes, each
    on the images of the task's stream.
    """

    objective: Objective
    params: Tree  # Trainable ones.
    names: tuple[str, ...]  # Task names, in the order of the losses.
    execution: Execution
    streams: tuple[StreamVJP, ...]
    heads_vjp: Callable[[jax.Array], tuple]
    losses: jax.Array

    def vjp(self, cotangents: jax.Array) -> Tree:
        """The gradient of the weighted losses, in one backward pass."""
        heads, features = self.heads_vjp(cotangents)
        # If heads share an array of features, its cotangent is the sum of theirs.
        trunks = [
            vjp(merge_cotangents(features, tasks, one))[0] for tasks, vjp, one in self.streams
        ]
        return join_params(jax.tree.map(lambda *parts: sum(parts), *trunks), heads)

    def jacobian(self) -> Tree:
        """Gradients `[K, ...]` of the shared parameters, and those of the task-specific ones."""
        heads, features = self.heads_vjp(jnp.ones_like(self.losses))
        found = self.map_streams(features, lambda vjp, row: vjp(row)[0])
        shared = self.in_order([trunk["shared"] for trunk in found])
        own = [trunk["tasks"] for trunk in found]
        tasks = jax.tree.map(lambda *leaves: sum(leaf.sum(0) for leaf in leaves), *own)
        return join_params({"shared": shared, "tasks": tasks}, heads)

    def gramian(self) -> jax.Array:
        """The Gram matrix `[K, K]` of the gradients, without storing the Jacobian."""
        _, features = self.heads_vjp(jnp.ones_like(self.losses))
        shared = self.params["shared"]
        _, jvp = jax.linearize(
            lambda own: self.objective.losses({**self.params, "shared": own}), shared
        )
        rows = self.map_streams(features, lambda vjp, row: jvp(vjp(row)[0]["shared"]))
        found = self.in_order(rows)
        return 0.5 * (found + found.T)

    def feature_jacobian(self) -> Tree:
        """Gradients `[K, ...]` of the shared representation, and gradients of the heads."""
        heads, features = self.heads_vjp(jnp.ones_like(self.losses))
        rows = task_cotangents(features, self.names, True)
        return join_params({"shared": rows, "tasks": {}}, heads)

    def encoder_vjp(self, cotangents: Any) -> Tree:
        """The gradient of the shared parameters from a cotangent of the representation."""
        return self.streams[0].vjp(cotangents)[0]["shared"]

    def map_streams(self, features: dict[str, tuple], function: Callable) -> list[Any]:
        """Maps a function of the pullback and a cotangent row over the rows of every stream."""
        return [
            batched_map(
                functools.partial(function, vjp),
                task_cotangents(features, tasks, one),
                self.execution,
            )
            for tasks, vjp, one in self.streams
        ]

    def in_order(self, parts: list[Any]) -> Any:
        """Concatenates the rows of all streams to `[K, ...]`, in the order of the tasks."""
        found = [name for stream in self.streams for name in stream.tasks]
        return reorder_tasks(parts, [found.index(name) for name in self.names])


def forward_vjp(
    objective: Objective, params: Tree, names: tuple[str, ...], execution: Execution
) -> Forward:
    """Runs the forward pass and returns the losses with their pullbacks.

    Args:
      objective: both parts of the losses.
      params: the trainable parameters.
      names: the task names, in the order of the losses.
      execution: how the K backward passes of the Jacobian are computed.
    """
    encoder, batch_stats = encoder_params(params), objective.batch_stats
    features, streams = {}, []
    for tasks, encode in objective.encoders:
        before = restore_counters(batch_stats, objective.batch_stats)
        found, vjp, batch_stats = jax.vjp(
            lambda own, encode=encode, stats=before: encode(own, stats), encoder, has_aux=True
        )
        features |= features_of_passes(found, tasks)
        streams.append(StreamVJP(tasks, vjp, not isinstance(found[0], dict)))
    losses, heads_vjp, aux = jax.vjp(
        objective.losses_from_features, head_params(params), features, has_aux=True
    )
    own = TaskVJP(objective, params, names, execution, tuple(streams), heads_vjp, losses)
    one = len(streams) == 1 and streams[0].is_shared
    by_row = (execution.jacobian_loop, execution.jacobian_chunk_size) == ("vmap", 1)
    pullback = TaskPullback(
        own.vjp,
        own.jacobian,
        own.feature_jacobian if one else None,
        own.encoder_vjp if one else None,
        own.gramian if by_row else None,
        losses_fn=objective.losses,
        params=params,
        map_tasks=functools.partial(batched_map, execution=execution),
    )
    batch_stats = join_stats(encoder_stats(batch_stats), aux.head_stats)
    return Forward(losses, pullback, batch_stats, aux)


def merge_cotangents(each: dict[str, tuple], tasks: tuple[str, ...], one: bool) -> tuple:
    """Merges the cotangents of the tasks into those of a stream's features, by pass."""
    if one:
        return jax.tree.map(lambda *parts: sum(parts), *(each[name] for name in tasks))
    passes = range(len(each[tasks[0]]))
    return tuple({name: each[name][place] for name in tasks} for place in passes)


def task_cotangents(each: dict[str, tuple], tasks: tuple[str, ...], one: bool) -> tuple:
    """Cotangents `[K, ...]` of a stream's features; row k holds those of task k only."""
    if one:
        return jax.tree.map(lambda *parts: jnp.stack(parts), *(each[name] for name in tasks))
    eye = jnp.eye(len(tasks))

    def alone(leaf, place):
        return jnp.tensordot(eye[place].astype(leaf.dtype), leaf, 0)

    own = {
        name: jax.tree.map(functools.partial(alone, place=place), each[name])
        for place, name in enumerate(tasks)
    }
    return merge_cotangents(own, tasks, False)


def reorder_tasks(parts: list[Any], order: list[int]) -> Any:
    """Concatenates and reorders rows of several streams to `[K, ...]`."""
    if len(parts) == 1:
        return parts[0]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[jnp.array(order)], *parts)


def batched_map(function: Any, rows: Any, execution: Execution) -> Any:
    """Maps a function over the leading axis, with the loop and chunk size of the execution."""
    if execution.jacobian_loop == "vmap":
        if execution.jacobian_chunk_size is None:
            return jax.vmap(function)(rows)
        return jax.lax.map(function, rows, batch_size=execution.jacobian_chunk_size)
    count = jax.tree.leaves(rows)[0].shape[0]
    results = [function(jax.tree.map(lambda leaf, i=i: leaf[i], rows)) for i in range(count)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)
