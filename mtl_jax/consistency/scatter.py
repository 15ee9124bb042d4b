"""Scatter: rows of a state that the examples of a batch write to, each row once."""

import jax
import jax.numpy as jnp


def rows_of(index: jax.Array, mask: jax.Array, size: int) -> jax.Array:
    """Row that each example writes, `[n]`: its index, or `size` (for `mode="drop"`) if none.

    An example that a batch contains twice writes once, by its later position: the order of two
    writes to one row is undefined.

    Args:
      index: row of each example, `[n]`.
      mask: which of them write, bool `[n]`.
      size: number of rows.
    """
    positions = jnp.arange(index.size)
    later = (positions[None] > positions[:, None]) & (index[None] == index[:, None]) & mask[None]
    return jnp.where(mask & ~later.any(1), index, size)
