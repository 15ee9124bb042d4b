"""MemoryBank: a ring buffer of the embeddings and predictions of recent examples."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class MemoryBank(NamedTuple):
    """A ring buffer of M rows; rows not yet filled are zeros."""

    embeddings: jax.Array  # [M, D]
    guesses: jax.Array  # [M, C], probabilities
    place: jax.Array  # [], index of the next row to write
    num_filled: jax.Array  # [], rows so far, at most M

    @property
    def full(self) -> jax.Array:
        """Whether every row is filled, bool `[]`."""
        return self.num_filled >= self.guesses.shape[0]


def init_memory(rows: int, size: int, classes: int) -> MemoryBank:
    """Returns an empty memory of `rows` rows."""
    return MemoryBank(
        jnp.zeros((rows, size), float),
        jnp.zeros((rows, classes), float),
        jnp.zeros((), jnp.int32),
        # A separate array: one buffer cannot be donated twice.
        jnp.zeros((), jnp.int32),
    )


def enqueue(
    state: MemoryBank, embeddings: jax.Array, guesses: jax.Array, there: jax.Array
) -> MemoryBank:
    """Adds examples to the memory, each replacing the oldest.

    Args:
      state: memory before.
      embeddings: `[n, D]`.
      guesses: probabilities `[n, C]`.
      there: which of them are added, bool `[n]`; the others take no row. Of more than M, the
        last M are added.
    """
    rows = state.guesses.shape[0]
    rank = jnp.cumsum(there, dtype=jnp.int32) - 1
    total = there.sum(dtype=jnp.int32)
    # No row twice: the order of two writes to one row is undefined.
    kept = there & (rank >= total - rows)
    where = jnp.where(kept, (state.place + rank) % rows, rows)

    def put(old, new):
        return old.at[where].set(new.astype(old.dtype), mode="drop")

    return MemoryBank(
        put(state.embeddings, embeddings),
        put(state.guesses, guesses),
        (state.place + total) % rows,
        jnp.minimum(state.num_filled + total, rows),
    )
