"""From K losses and the ways back from them to one gradient."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.protocols import (
    BilevelWeighting,
    CrossWeighting,
    GramWeighting,
    JacobianCombiner,
    LossWeighting,
)
from mtl_jax.core.tree import combine, gram, norm

Space = Literal["parameters", "representation"]
Heads = Literal["paper", "own", "weighted"]
Scale = Literal["paper", "sum", "mean", "unit", "equal"]
Rows = CrossWeighting | GramWeighting | JacobianCombiner


class Tape(NamedTuple):
    """The ways back from K losses, none of them gone yet; a gradient is {"shared", "tasks"}.

    `features` and `through` are None where the heads do not read one representation, `gram`
    where rows may be kept, `active` where all tasks train; `pull` leaves out those that do not.
    """

    pull: Callable[[jax.Array], Any]  # cotangents [K] -> the gradient: one backward pass
    jacobian: Callable[[], Any]  # -> rows [K, ...] of "shared", and "tasks" as they are: K passes
    features: Callable[[], Any] | None  # -> the same with rows of the representation: the heads
    through: Callable[[Any], Any] | None  # a sum of such rows -> the gradient of "shared"
    gram: Callable[[], jax.Array] | None = None  # -> [K, K], no row is kept: K passes both ways
    active: jax.Array | None = None  # which tasks train, bool [K]; for methods that weigh losses


class Balanced(NamedTuple):
    """One gradient made of K, and how it came about."""

    gradient: Any
    weights: jax.Array  # [K]
    state: Any


def balance(
    method: LossWeighting | BilevelWeighting | Rows,
    losses: jax.Array,
    tape: Tape | Callable[[jax.Array], Any],
    state: Any,
    key: jax.Array,
    *,
    space: Space = "parameters",
    heads: Heads = "paper",
    scale: Scale = "paper",
    others: tuple[Tape, Tape] | None = None,
    outer: Callable[[jax.Array], jax.Array] | None = None,
) -> Balanced:
    """Turns K losses and the ways back from them into one gradient.

    A loss weighting costs one backward pass, a bilevel one also its outer losses; the others
    cost K through the trunk, or, in the space of the representation, K through the heads and one
    through the trunk. They weigh the gradients of the shared parameters; what belongs to a task
    keeps that task's gradient.

    Args:
      method: a weighting or an aggregator.
      losses: `[K]`.
      tape: the ways back; or a pullback alone, which maps cotangents `[K]` to a gradient as
        the second result of `jax.vjp` does (without the tuple around it).
      state: the method's state.
      key: for methods that draw.
      space: whether a method of K passes sees the gradients of the shared "parameters", or of
        the shared "representation" that the heads read.
      heads: whether what belongs to a task keeps its "own" gradient or is "weighted" like the
        shared part; "paper" weighs it for loss weightings only.
      scale: how long the shared part is: as in the "paper"; by weights whose absolute values
        add up to K ("sum") or to 1 ("mean"); of norm 1 ("unit"); or of the norm that the plain
        sum has ("equal", for one more backward pass). Zero stays zero.
      others: tapes of two more batches, for a `CrossWeighting`.
      outer: maps weights `[K]` to the held-out losses `[K]` after a step with them, for a
        `BilevelWeighting`.

    Returns:
      The gradient, the weights as they were applied, and the next state.

    Raises:
      TypeError: if the method offers none of the five verbs.
      ValueError: if there is no shared representation, or other batches are missing.
    """
    tape = tape if isinstance(tape, Tape) else plain(tape, losses)
    if hasattr(method, "read_losses"):
        state = method.read_losses(losses, state)
    by_pull = isinstance(method, LossWeighting | BilevelWeighting)
    if by_pull:
        weights, state = weigh_once(method, losses, state, key, outer)
        weights = weights if tape.active is None else jnp.where(tape.active, weights, 0.0)
        gradient = tape.pull(weights)
    else:
        gradient, weights, state = weigh_rows(method, tape, state, key, space, others)
    gradient, weights = applied(tape, gradient, weights, by_pull, heads, scale)
    return Balanced(gradient, weights, state)


def weigh_once(method: LossWeighting | BilevelWeighting, losses, state, key, outer) -> tuple:
    """Weights and next state of a method that needs no task's gradient for itself."""
    if isinstance(method, LossWeighting):
        return method.weigh_losses(losses, state, key)
    if outer is None:
        raise ValueError(f"{method!r} needs outer, the held-out losses after a step")
    return method.weigh_outer(outer, state, key)


def applied(tape: Tape, gradient: Any, weights: jax.Array, by_pull: bool, heads, scale) -> tuple:
    """Gradient and weights as `heads` and `scale` want them; `by_pull` weighed all of it."""
    ones = jnp.ones_like(weights)
    factor = 1.0
    if scale != "paper":
        factor = stretch(scale, weights, gradient["shared"], lambda: tape.pull(ones)["shared"])
    weights = weights * factor
    shared, tasks = scaled(gradient["shared"], factor), gradient["tasks"]
    weighted = by_pull if heads == "paper" else heads == "weighted"
    if weighted != by_pull:
        tasks = tape.pull(weights if weighted else ones)["tasks"]
    elif weighted:
        tasks = scaled(tasks, factor)
    return {"shared": shared, "tasks": tasks}, weights


def weigh_rows(method: Rows, tape: Tape, state, key, space: Space, others) -> tuple:
    """Gradient (heads keep their own), weights and next state of a method of K passes."""
    if not isinstance(method, Rows):
        verbs = "weigh_losses, weigh_gram, weigh_cross, weigh_outer or combine"
        raise TypeError(f"balance needs {verbs}; {method!r} has none of them")
    if isinstance(method, CrossWeighting):
        return weigh_batches(method, tape, state, key, others)
    inside = space == "representation"
    if tape.gram is not None and isinstance(method, GramWeighting) and not inside:
        return weigh_unstored(method, tape, state, key)
    if inside and tape.features is None:
        raise ValueError("space='representation' needs heads that all read one representation")
    found = tape.features() if inside else tape.jacobian()
    if isinstance(method, JacobianCombiner):
        shared, weights, state = method.combine(found["shared"], state, key)
    else:
        weights, state = method.weigh_gram(gram(found["shared"]), state, key)
        shared = combine(weights, found["shared"])
    gradient = {"shared": tape.through(shared) if inside else shared, "tasks": found["tasks"]}
    return gradient, weights, state


def weigh_unstored(method: GramWeighting, tape: Tape, state, key) -> tuple:
    """The same without the rows: their products first, then two passes of weighted losses."""
    weights, state = method.weigh_gram(tape.gram(), state, key)
    return pulled(tape, weights), weights, state


def weigh_batches(method: CrossWeighting, tape: Tape, state, key, others) -> tuple:
    """The same of a method that weighs by two other batches."""
    if others is None:
        raise ValueError(f"{method!r} needs others, the tapes of two more batches")
    one, other = (each.jacobian()["shared"] for each in others)
    weights, state = method.weigh_cross(gram(one, other), state, key)
    return pulled(tape, weights), weights, state


def pulled(tape: Tape, weights: jax.Array) -> Any:
    """The gradient of weighted losses, in which what belongs to a task keeps its own."""
    ones = jnp.ones_like(weights)
    return {"shared": tape.pull(weights)["shared"], "tasks": tape.pull(ones)["tasks"]}


def stretch(scale: Scale, weights: jax.Array, shared: Any, plain_sum: Callable) -> jax.Array:
    """The factor `[]` that gives the shared part the length of a scale; 1 where that is 0."""
    total = jnp.abs(weights).sum() if scale in ("sum", "mean") else norm(shared)
    wanted = {
        "sum": lambda: jnp.asarray(weights.size, total.dtype),
        "equal": lambda: norm(plain_sum()),
    }
    wanted = wanted.get(scale, lambda: jnp.ones_like(total))()
    return jnp.where(total == 0, 1.0, wanted / jnp.where(total == 0, 1.0, total))


def scaled(tree: Any, factor: jax.Array | float) -> Any:
    """Every leaf times a factor."""
    return jax.tree.map(lambda leaf: leaf * factor, tree)


def plain(pullback: Callable[[jax.Array], Any], losses: jax.Array) -> Tape:
    """The tape of a pullback alone."""

    def jacobian():
        rows = jax.vmap(pullback)(jnp.eye(losses.size, dtype=losses.dtype))
        return {**rows, "tasks": jax.tree.map(lambda leaf: leaf.sum(0), rows["tasks"])}

    return Tape(pullback, jacobian, None, None)
