"""Average pseudo-margins: how far an example's class exceeds the others, averaged over time."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.scatter import rows_of
from mtl_jax.core.tree import ema_update


class Margins(NamedTuple):
    """Margins and predictions of M heads for every unlabelled example."""

    mean: jax.Array  # [M, N, C], running margins, 0 initially
    label: jax.Array  # [M, N], last prediction, -1 before the first


def init_margins(heads: int, examples: int, classes: int) -> Margins:
    """Returns the initial state."""
    label = jnp.full((heads, examples), -1, jnp.int32)
    return Margins(jnp.zeros((heads, examples, classes), float), label)


def margins(logits: jax.Array) -> jax.Array:
    """How far each class exceeds the largest of the others, `[..., C]` to `[..., C]`.

    `z_c - max_(k != c) z_k`: positive for the predicted class, negative for all others.
    """
    (first, second), _ = (jnp.moveaxis(part, -1, 0) for part in jax.lax.top_k(logits, 2))
    top = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=bool)
    return logits - jnp.where(top, second[..., None], first[..., None])


def update_margins(state: Margins, logits: jax.Array, index: jax.Array, rate: jax.Array) -> Margins:
    """The state after a batch, `mean <- rate margin + (1 - rate) mean`.

    Args:
      state: before.
      logits: of every head, `[M, U, C]`.
      index: of each example; for duplicates, the later position counts.
      rate: weight of the new margins, `[]`.
    """
    rows = rows_of(index, jnp.ones(index.shape, bool), state.label.shape[1])
    new = ema_update(state.mean[:, index], margins(logits).astype(state.mean.dtype), 1.0 - rate)
    label = logits.argmax(-1).astype(jnp.int32)
    return Margins(
        state.mean.at[:, rows].set(new, mode="drop"),
        state.label.at[:, rows].set(label, mode="drop"),
    )


def margin_quantiles(state: Margins, i: int, j: int, quantile: float) -> jax.Array:
    """Per class, the margin below which a fraction of the agreed examples lies, `[C]`.

    An example is agreed on if both heads last predicted the same class; then the margins of that
    class of both heads count, interpolated linearly between neighbours. A class without any
    has 0.

    Args:
      state: of all heads.
      i: index of one head.
      j: index of the other head.
      quantile: fraction between 0 and 1.
    """
    classes = state.mean.shape[-1]
    label = state.label[i]
    agreed = (label == state.label[j]) & (label >= 0)
    group = jnp.where(agreed, label, classes)
    column = jnp.maximum(label, 0)[:, None]
    values = [jnp.take_along_axis(state.mean[head], column, -1)[:, 0] for head in (i, j)]
    group, value = jax.lax.sort(
        (jnp.concatenate([group, group]), jnp.concatenate(values)), num_keys=2
    )
    count = jnp.zeros(classes + 1, jnp.int32).at[group].add(1)
    start = jnp.cumsum(count) - count
    # Classes without examples read a neighbour's value, which is then replaced.
    position = quantile * jnp.maximum(count - 1, 0).astype(value.dtype)
    lower = jnp.floor(position)
    below = jnp.minimum(start + lower.astype(jnp.int32), value.size - 1)
    above = jnp.minimum(start + jnp.ceil(position).astype(jnp.int32), value.size - 1)
    quantiles = value[below] + (position - lower) * (value[above] - value[below])
    return jnp.where(count > 0, quantiles, 0.0)[:classes]
