"""Runs a step's batches forward and keeps every way back from their losses."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.balance import Tape
from mtl_jax.config.run import Dispatch
from mtl_jax.core.model import without_heads
from mtl_jax.train.objective import Objective, counted, read_by


def forward(objective: Objective, kept: Any, names: list[str], dispatch: Dispatch) -> tuple:
    """Losses `[K]`, their tape, the next statistics and the rest of the objective.

    Each head reads features of its own, so one pass back through all heads gives every row of
    the representation's gradient; only the encoder is gone through K times, by each task with
    the images of its own stream alone.

    Args:
      objective: the two parts of the losses.
      kept: the trained parameters.
      names: of the tasks, in the order of the losses.
      dispatch: how the K passes lie side by side.
    """
    body, stats = without_heads(kept), objective.stats
    features, ways = {}, []
    for tasks, encode in objective.encode:
        before = counted(stats, objective.stats)
        seen, back, stats = jax.vjp(
            lambda kept, encode=encode, stats=before: encode(kept, stats), body, has_aux=True
        )
        features |= read_by(seen, tasks)
        ways.append((tasks, back, not isinstance(seen[0], dict)))
    losses, out, rest = jax.vjp(objective.score, kept["tasks"]["heads"], features, has_aux=True)

    def whole(trunk, head):
        return {"shared": trunk["shared"], "tasks": {**trunk["tasks"], "heads": head}}

    def pull(cotangents):
        head, each = out(cotangents)
        # Heads that read one array: its gradient is the sum of what comes out of them.
        trunks = [back(gathered(each, tasks, one)) for tasks, back, one in ways]
        return whole(jax.tree.map(lambda *parts: sum(parts), *trunks)[0], head)

    def over_rows(each, function):
        """A function of every row, which goes back through its own stream."""
        return [
            side_by_side(functools.partial(function, back), rows(each, tasks, one), dispatch)
            for tasks, back, one in ways
        ]

    def ordered(parts):
        found = [name for tasks, *_ in ways for name in tasks]
        return in_order(parts, [found.index(name) for name in names])

    def jacobian():
        head, each = out(jnp.ones_like(losses))
        found = over_rows(each, lambda back, row: back(row)[0])
        shared = ordered([trunk["shared"] for trunk in found])
        parts = [trunk["tasks"] for trunk in found]
        tasks = jax.tree.map(lambda *leaves: sum(leaf.sum(0) for leaf in leaves), *parts)
        return whole({"shared": shared, "tasks": tasks}, head)

    def unstored():
        _, each = out(jnp.ones_like(losses))
        _, push = jax.linearize(lambda p: objective.losses({**kept, "shared": p}), kept["shared"])
        found = ordered(over_rows(each, lambda back, row: push(back(row)[0]["shared"])))
        return 0.5 * (found + found.T)

    def represented():
        head, each = out(jnp.ones_like(losses))
        return whole({"shared": rows(each, names, True), "tasks": {}}, head)

    def through(row):
        return ways[0][1](row)[0]["shared"]

    alike = len(ways) == 1 and ways[0][2]
    spaces = (represented, through) if alike else (None, None)
    inner = unstored if (dispatch.pullbacks, dispatch.pullback_chunk) == ("vmap", 1) else None
    return losses, Tape(pull, jacobian, *spaces, inner), stats, rest


def gathered(each: dict[str, tuple], tasks: tuple[str, ...], one: bool) -> tuple:
    """Cotangents, pass by pass, of what a stream's tasks read, from those of each task."""
    if one:
        return jax.tree.map(lambda *parts: sum(parts), *(each[name] for name in tasks))
    passes = range(len(each[tasks[0]]))
    return tuple({name: each[name][place] for name in tasks} for place in passes)


def rows(each: dict[str, tuple], tasks: tuple[str, ...], one: bool) -> tuple:
    """Cotangents `[K, ...]` of what a stream's tasks read; row k has those of task k alone."""
    if one:
        return jax.tree.map(lambda *parts: jnp.stack(parts), *(each[name] for name in tasks))
    eye = jnp.eye(len(tasks))

    def alone(leaf, place):
        return jnp.tensordot(eye[place].astype(leaf.dtype), leaf, 0)

    own = {n: tuple(alone(leaf, k) for leaf in each[n]) for k, n in enumerate(tasks)}
    return gathered(own, tasks, False)


def in_order(parts: list[Any], order: list[int]) -> Any:
    """Rows of several streams `[K, ...]` in one, in the order of the tasks."""
    if len(parts) == 1:
        return parts[0]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[jnp.array(order)], *parts)


def side_by_side(function: Any, rows: Any, dispatch: Dispatch) -> Any:
    """Maps a function over a leading axis, in the way and as many at a time as dispatched."""
    if dispatch.pullbacks == "vmap":
        if dispatch.pullback_chunk is None:
            return jax.vmap(function)(rows)
        return jax.lax.map(function, rows, batch_size=dispatch.pullback_chunk)
    count = jax.tree.leaves(rows)[0].shape[0]
    made = [function(jax.tree.map(lambda leaf, i=i: leaf[i], rows)) for i in range(count)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)
