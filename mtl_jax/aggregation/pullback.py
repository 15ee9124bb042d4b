"""Backward passes of K losses as functions, and the gradient that is combined from them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree


class TaskPullback(NamedTuple):
    """Lazy pullbacks of K losses; a gradient is a dict {"shared", "tasks"}.

    `feature_jacobian` and `encoder_vjp` are None if the heads do not share one representation,
    `gramian_fn` is None if the Jacobian may be stored, and `active_tasks` is None if all tasks
    train; `vjp` omits inactive tasks.
    """

    vjp: Callable[[jax.Array], Tree]  # Cotangents [K] -> gradient: one backward pass.
    jacobian: Callable[[], Tree]  # "shared" with rows [K, ...], "tasks" unchanged: K passes.
    feature_jacobian: Callable[[], Tree] | None = None  # The same w.r.t. the representation.
    encoder_vjp: Callable[[Tree], Tree] | None = None  # Maps one such row to "shared".
    gramian_fn: Callable[[], jax.Array] | None = None  # [K, K], without storing rows: 2 K passes.
    active_tasks: jax.Array | None = None  # Mask of the tasks that train, bool [K].
    extra_batches: "tuple[TaskPullback, ...]" = ()  # Two more, for a CrossGramWeighting.
    heldout_losses: Callable[[jax.Array], jax.Array] | None = None  # For a BilevelWeighting.
    losses_fn: Callable[[Tree], jax.Array] | None = None  # Parameters -> losses [K], same batch.
    params: Tree = None  # The parameters of the step, {"shared", "tasks"}.
    map_tasks: Callable[[Callable, Any], Any] = jax.lax.map  # Maps over the rows of a tree.


def pullback_only(vjp: Callable[[jax.Array], Tree], losses: jax.Array) -> TaskPullback:
    """Builds the pullbacks from a single VJP function."""

    def jacobian():
        rows = jax.vmap(vjp)(jnp.eye(losses.size, dtype=losses.dtype))
        return {**rows, "tasks": jax.tree.map(lambda leaf: leaf.sum(0), rows["tasks"])}

    return TaskPullback(vjp, jacobian)
