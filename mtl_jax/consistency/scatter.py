"""Scatter: rows of a state that the examples of a batch write to, each row once."""

import jax
import jax.numpy as jnp


def rows_of(index: jax.Array, chosen: jax.Array, size: int) -> jax.Array:
    """Row that each example writes, `[n]`: its index, or `size` (for `mode="drop"`) if none.

    An example that a batch contains twice writes once, by its later position: the order of two
    writes to one row is undefined.

    Args:
      index: row of each example, `[n]`.
      chosen: which of them write, bool `[n]`.
      size: number of rows.
    """
    places = jnp.arange(index.size)
    later = (places[None] > places[:, None]) & (index[None] == index[:, None]) & chosen[None]
    return jnp.where(chosen & ~later.any(1), index, size)
