"""Runs a batch forward and keeps every way back from its losses."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.balance import Tape
from mtl_jax.protocols import by_task, without_heads
from mtl_jax.run import Dispatch
from mtl_jax.train.objective import Objective


def forward(objective: Objective, kept: Any, names: list[str], dispatch: Dispatch) -> tuple:
    """Losses `[K]`, their tape, the next statistics and the rest of the objective.

    Each head reads features of its own, so one pass back through all heads gives every row of
    the representation's gradient; only the encoder is gone through K times.

    Args:
      objective: the two parts of the losses.
      kept: the trained parameters.
      names: of the tasks, in the order of the losses.
      dispatch: how the K passes lie side by side.
    """
    heads = kept["tasks"]["heads"]
    features, back, stats = jax.vjp(objective.encode, without_heads(kept), has_aux=True)
    losses, out, rest = jax.vjp(objective.score, heads, by_task(features, names), has_aux=True)
    one = not isinstance(features, dict)

    def whole(trunk, head):
        return {"shared": trunk["shared"], "tasks": {**trunk["tasks"], "heads": head}}

    def pull(cotangents):
        head, each = out(cotangents)
        # Heads that read one array: its gradient is the sum of what comes out of them.
        return whole(back(sum(each.values()) if one else each)[0], head)

    def rows():
        head, each = out(jnp.ones_like(losses))
        return head, jnp.stack([each[name] for name in names]) if one else apart(each, names)

    def jacobian():
        head, each = rows()
        trunk = side_by_side(lambda row: back(row)[0], each, dispatch)
        tasks = jax.tree.map(lambda leaf: leaf.sum(0), trunk["tasks"])
        return whole({"shared": trunk["shared"], "tasks": tasks}, head)

    def represented():
        head, each = rows()
        return whole({"shared": each, "tasks": {}}, head)

    def through(row):
        return back(row)[0]["shared"]

    spaces = (represented, through) if one else (None, None)
    return losses, Tape(pull, jacobian, *spaces), stats, rest


def apart(each: dict[str, jax.Array], names: list[str]) -> dict[str, jax.Array]:
    """Cotangents `[K, ...]` of all tasks' features; in row k only those of task k are not zero."""
    eye = jnp.eye(len(names))
    return {
        name: jnp.tensordot(eye[k].astype(each[name].dtype), each[name], 0)
        for k, name in enumerate(names)
    }


def side_by_side(function: Any, rows: Any, dispatch: Dispatch) -> Any:
    """Maps a function over a leading axis, in the way and as many at a time as dispatched."""
    if dispatch.pullbacks == "vmap":
        if dispatch.pullback_chunk is None:
            return jax.vmap(function)(rows)
        return jax.lax.map(function, rows, batch_size=dispatch.pullback_chunk)
    count = jax.tree.leaves(rows)[0].shape[0]
    made = [function(jax.tree.map(lambda leaf, i=i: leaf[i], rows)) for i in range(count)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)
