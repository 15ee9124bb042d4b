"""Average pseudo-margins: how far the class of an example stood above the others, over time."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.scatter import rows_of
from mtl_jax.core.tree import average


class Margins(NamedTuple):
    """What M heads said of every unlabelled example."""

    mean: jax.Array  # [M, N, C], running margins, 0 at first
    label: jax.Array  # [M, N], last guess, -1 before there was one


def no_margins(heads: int, examples: int, classes: int) -> Margins:
    """The state before the first step."""
    label = jnp.full((heads, examples), -1, jnp.int32)
    return Margins(jnp.zeros((heads, examples, classes), float), label)


def margins(logits: jax.Array) -> jax.Array:
    """How far each class stands above the largest of the others, `[..., C]` of `[..., C]`.

    `z_c - max_(k != c) z_k`: positive for the guessed class, negative for all the others.
    """
    (first, second), _ = (jnp.moveaxis(part, -1, 0) for part in jax.lax.top_k(logits, 2))
    top = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=bool)
    return logits - jnp.where(top, second[..., None], first[..., None])


def moved(state: Margins, logits: jax.Array, index: jax.Array, rate: jax.Array) -> Margins:
    """The state after a batch, `mean <- rate margin + (1 - rate) mean`.

    Args:
      state: before.
      logits: of every head, `[M, U, C]`.
      index: of each example; of one that is there twice, the later place counts.
      rate: share of the new margins, `[]`.
    """
    rows = rows_of(index, jnp.ones(index.shape, bool), state.label.shape[1])
    new = average(state.mean[:, index], margins(logits).astype(state.mean.dtype), 1.0 - rate)
    label = logits.argmax(-1).astype(jnp.int32)
    return Margins(
        state.mean.at[:, rows].set(new, mode="drop"),
        state.label.at[:, rows].set(label, mode="drop"),
    )


def percentiles(state: Margins, one: int, other: int, share: float) -> jax.Array:
    """By class, the margin below which a share of the agreed examples lies, `[C]`.

    An example is agreed on if both heads last guessed the same class; then the margins of that
    class of both heads count, interpolated linearly between neighbours. A class without any
    has 0.

    Args:
      state: of all heads.
      one: place of one head.
      other: of the other.
      share: between 0 and 1.
    """
    classes = state.mean.shape[-1]
    label = state.label[one]
    agreed = (label == state.label[other]) & (label >= 0)
    group = jnp.where(agreed, label, classes)
    at = jnp.maximum(label, 0)[:, None]
    values = [jnp.take_along_axis(state.mean[head], at, -1)[:, 0] for head in (one, other)]
    group, value = jax.lax.sort(
        (jnp.concatenate([group, group]), jnp.concatenate(values)), num_keys=2
    )
    count = jnp.zeros(classes + 1, jnp.int32).at[group].add(1)
    start = jnp.cumsum(count) - count
    # Classes with no example look at a neighbour's, and are overruled.
    place = share * jnp.maximum(count - 1, 0).astype(value.dtype)
    low = jnp.floor(place)
    below = jnp.minimum(start + low.astype(jnp.int32), value.size - 1)
    above = jnp.minimum(start + jnp.ceil(place).astype(jnp.int32), value.size - 1)
    found = value[below] + (place - low) * (value[above] - value[below])
    return jnp.where(count > 0, found, 0.0)[:classes]
