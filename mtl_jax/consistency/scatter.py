"""Rows of a state that examples of a batch write to, each row once."""

import jax
import jax.numpy as jnp


def rows_of(index: jax.Array, chosen: jax.Array, size: int) -> jax.Array:
    """Where each example writes, `[n]`: its index, or `size` (for `mode="drop"`) if it does not.

    An example that a batch has twice writes once, by its later place: the order of two
    writes to one row is not defined.

    Args:
      index: row of each example, `[n]`.
      chosen: which of them write, bool `[n]`.
      size: number of rows.
    """
    places = jnp.arange(index.size)
    later = (places[None] > places[:, None]) & (index[None] == index[:, None]) & chosen[None]
    return jnp.where(chosen & ~later.any(1), index, size)
