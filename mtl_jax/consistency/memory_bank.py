"""The last examples that a method saw: a ring of embeddings and of what they were guessed to be."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Memory(NamedTuple):
    """A ring of M rows; those that are not filled yet are zeros."""

    embeddings: jax.Array  # [M, D]
    guesses: jax.Array  # [M, C], probabilities
    place: jax.Array  # [], where the next one goes
    filled: jax.Array  # [], rows so far, at most M

    @property
    def full(self) -> jax.Array:
        """Whether every row is of an example, bool `[]`."""
        return self.filled >= self.guesses.shape[0]


def empty(rows: int, size: int, classes: int) -> Memory:
    """A memory of `rows` rows in which nothing is yet."""
    return Memory(
        jnp.zeros((rows, size), float),
        jnp.zeros((rows, classes), float),
        jnp.zeros((), jnp.int32),
        # An array of its own: one buffer cannot be donated twice.
        jnp.zeros((), jnp.int32),
    )


def remembered(
    state: Memory, embeddings: jax.Array, guesses: jax.Array, there: jax.Array
) -> Memory:
    """The memory after some more examples, each in the place of the oldest.

    Args:
      state: before.
      embeddings: `[n, D]`.
      guesses: probabilities `[n, C]`.
      there: which of them are kept, bool `[n]`; the others take no row. Of more than M, the
        last M are.
    """
    rows = state.guesses.shape[0]
    rank = jnp.cumsum(there, dtype=jnp.int32) - 1
    total = there.sum(dtype=jnp.int32)
    # No row twice: the order of two writes to one row is not defined.
    kept = there & (rank >= total - rows)
    where = jnp.where(kept, (state.place + rank) % rows, rows)

    def put(old, new):
        return old.at[where].set(new.astype(old.dtype), mode="drop")

    return Memory(
        put(state.embeddings, embeddings),
        put(state.guesses, guesses),
        (state.place + total) % rows,
        jnp.minimum(state.filled + total, rows),
    )
