"""MemoryBank: a ring buffer of the embeddings and predictions of recent examples."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class MemoryBank(NamedTuple):
    """A ring buffer of M rows; rows not yet filled are zeros."""

    embeddings: jax.Array  # [M, D]
    probs: jax.Array  # [M, C]
    next_row: jax.Array  # [], index of the next row to write
    num_filled: jax.Array  # [], rows so far, at most M

    @property
    def full(self) -> jax.Array:
        """Whether every row is filled, bool `[]`."""
        return self.num_filled >= self.probs.shape[0]


def init_memory(num_rows: int, size: int, num_classes: int) -> MemoryBank:
    """Returns an empty memory of `num_rows` rows."""
    return MemoryBank(
        jnp.zeros((num_rows, size), float),
        jnp.zeros((num_rows, num_classes), float),
        jnp.zeros((), jnp.int32),
        # A separate array: one buffer cannot be donated twice.
        jnp.zeros((), jnp.int32),
    )


def enqueue(
    memory: MemoryBank, embeddings: jax.Array, probs: jax.Array, mask: jax.Array
) -> MemoryBank:
    """Adds examples to the memory, each replacing the oldest.

    Args:
      memory: the memory so far.
      embeddings: `[n, D]`.
      probs: probabilities `[n, C]`.
      mask: which examples are added, bool `[n]`; the others take no row. Of more than M, the last
        M are added.
    """
    num_rows = memory.probs.shape[0]
    rank = jnp.cumsum(mask, dtype=jnp.int32) - 1
    total = mask.sum(dtype=jnp.int32)
    # No row twice: the order of two writes to one row is undefined.
    selected = mask & (rank >= total - num_rows)
    index = jnp.where(selected, (memory.next_row + rank) % num_rows, num_rows)

    def write(old: jax.Array, new: jax.Array) -> jax.Array:
        return old.at[index].set(new.astype(old.dtype), mode="drop")

    return MemoryBank(
        write(memory.embeddings, embeddings),
        write(memory.probs, probs),
        (memory.next_row + total) % num_rows,
        jnp.minimum(memory.num_filled + total, num_rows),
    )
