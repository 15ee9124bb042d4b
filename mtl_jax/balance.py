"""From K losses and their pullback to one gradient."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.protocols import GramWeighting, LossWeighting
from mtl_jax.trees import combine, gram


class Balanced(NamedTuple):
    """One gradient made of K, and how it came about."""

    gradient: Any
    weights: jax.Array  # [K]
    state: Any
    cosines: jax.Array | None  # [K, K], of the tasks' gradients on the shared parameters


def balance(
    method: LossWeighting | GramWeighting,
    losses: jax.Array,
    pullback: Callable[[jax.Array], Any],
    state: Any,
    key: jax.Array,
    *,
    pullbacks: Literal["vmap", "unroll", "map"] = "vmap",
) -> Balanced:
    """Turns K losses and their pullback into one gradient.

    A loss weighting costs one backward pass, a Gram method K. A Gram method weighs the
    gradients of the shared parameters; what belongs to a task keeps that task's gradient.

    Args:
      method: a weighting or an aggregator.
      losses: `[K]`.
      pullback: maps cotangents `[K]` to a gradient `{"shared": ..., "tasks": ...}`, as the
        second result of `jax.vjp` does (without the tuple around it).
      state: the method's state.
      key: for methods that draw.
      pullbacks: how the K backward passes lie side by side.

    Returns:
      The gradient, the weights, the next state, and the cosines if they were to be had.

    Raises:
      TypeError: if the method neither weighs losses nor a Gram matrix.
    """
    if isinstance(method, LossWeighting):
        weights, state = method.weigh_losses(losses, state, key)
        return Balanced(pullback(weights), weights, state, None)
    if not isinstance(method, GramWeighting):
        raise TypeError(f"balance needs weigh_losses or weigh_gram; {method!r} has neither")
    rows = jacobian(pullback, losses, pullbacks)
    matrix = gram(rows["shared"])
    weights, state = method.weigh_gram(matrix, state, key)
    shared = combine(weights, rows["shared"])
    tasks = jax.tree.map(lambda leaf: leaf.sum(0), rows["tasks"])
    return Balanced({"shared": shared, "tasks": tasks}, weights, state, cosines(matrix))


def jacobian(pullback, losses: jax.Array, pullbacks: str):
    """All K gradients as a tree of leaves `[K, ...]`."""
    basis = jnp.eye(losses.size, dtype=losses.dtype)
    if pullbacks == "vmap":
        return jax.vmap(pullback)(basis)
    if pullbacks == "map":
        return jax.lax.map(pullback, basis)
    return jax.tree.map(lambda *rows: jnp.stack(rows), *[pullback(row) for row in basis])


def cosines(gram: jax.Array) -> jax.Array:
    """Cosines `[K, K]` between gradients, of their Gram matrix; 0 beside a zero gradient."""
    norms = jnp.sqrt(jnp.diag(gram))
    scale = norms[:, None] * norms[None, :]
    return jnp.where(scale > 0, gram / jnp.where(scale > 0, scale, 1.0), 0.0)
