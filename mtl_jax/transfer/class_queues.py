"""The last keys of every class: rings that a contrast with other examples reads."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class ClassQueues(NamedTuple):
    """A ring of M vectors for each class; those that are not filled yet are zeros."""

    keys: jax.Array  # [C, M, D]
    place: jax.Array  # [C], where the next one goes
    filled: jax.Array  # [C], keys so far, at most M

    @property
    def there(self) -> jax.Array:
        """Which keys are of an example, bool `[C, M]`."""
        return jnp.arange(self.keys.shape[1], dtype=jnp.int32)[None] < self.filled[:, None]


def empty_queues(num_classes: int, length: int, size: int) -> ClassQueues:
    """Queues of `length` keys of `size` numbers in which nothing is yet.

    Bi-Tuning has 40 keys a class. TLLib starts with random vectors, which count as
    examples until they are replaced; here nothing counts that was not seen.
    """
    return ClassQueues(
        jnp.zeros((num_classes, length, size), float),
        jnp.zeros(num_classes, jnp.int32),
        # An array of its own: one buffer cannot be donated twice.
        jnp.zeros(num_classes, jnp.int32),
    )


def enqueue(queues: ClassQueues, keys: jax.Array, labels: jax.Array) -> ClassQueues:
    """The queues after a batch, each key in the place of the oldest of its class.

    Nothing flows through the queues.

    Args:
      queues: before.
      keys: `[B, D]`, of the averaged net.
      labels: `[B]`; what is no class (-1, missing) takes no place. Of more than M of one class,
        the last M stay.

    Returns:
      The next queues.

    Raises:
      ValueError: if shapes do not fit, when traced.
    """
    count, length, size = queues.keys.shape
    labels = jnp.asarray(labels).astype(jnp.int32)
    if keys.shape != (*labels.shape, size) or labels.ndim != 1:
        raise ValueError(
            f"enqueue needs keys [B, {size}] and labels [B], not {keys.shape} and {labels.shape}"
        )
    mine = labels[:, None] == jnp.arange(count, dtype=jnp.int32)[None]  # [B, C]
    total = mine.sum(0, dtype=jnp.int32)
    known = mine.any(1)
    row = jnp.where(known, labels, 0)
    rank = jnp.where(mine, jnp.cumsum(mine, 0, dtype=jnp.int32) - 1, 0).sum(1, dtype=jnp.int32)
    # No place twice: the order of two writes to one place is not defined.
    kept = known & (rank >= total[row] - length)
    row = jnp.where(kept, row, count)
    column = (queues.place[jnp.minimum(row, count - 1)] + rank) % length
    new = jax.lax.stop_gradient(keys).astype(queues.keys.dtype)
    return ClassQueues(
        queues.keys.at[row, column].set(new, mode="drop"),
        (queues.place + total) % length,
        jnp.minimum(queues.filled + total, length),
    )
