"""Per-class queues of recent keys for contrastive losses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class ClassQueues(NamedTuple):
    """A ring buffer of M vectors per class; unfilled entries are zeros.

    Example:
      >>> from mtl_jax import transfer
      >>> queues = transfer.empty_queues(num_classes=10, length=40, size=128)
      >>> queues.keys.shape, queues.mask.shape
      ((10, 40, 128), (10, 40))
    """

    keys: jax.Array  # [C, M, D]
    place: jax.Array  # [C], index of the next write
    filled: jax.Array  # [C], number of filled entries, at most M

    @property
    def mask(self) -> jax.Array:
        """Mask of the filled entries, bool `[C, M]`."""
        return jnp.arange(self.keys.shape[1], dtype=jnp.int32)[None] < self.filled[:, None]


def empty_queues(num_classes: int, length: int, size: int) -> ClassQueues:
    """Returns empty queues of `length` keys of dimension `size` per class.

    Bi-Tuning uses 40 keys per class. TLLib initializes with random vectors, which count as examples
    until they are replaced; here unfilled entries are ignored.

    Example:
      >>> from mtl_jax import transfer
      >>> transfer.empty_queues(num_classes=3, length=40, size=128).filled.tolist()
      [0, 0, 0]
    """
    return ClassQueues(
        jnp.zeros((num_classes, length, size), float),
        jnp.zeros(num_classes, jnp.int32),
        # A separate array: one buffer cannot be donated twice.
        jnp.zeros(num_classes, jnp.int32),
    )


def enqueue(queues: ClassQueues, keys: jax.Array, labels: jax.Array) -> ClassQueues:
    """Returns the queues after a batch, each key replacing the oldest one of its class.

    No gradient with respect to the queues.

    Args:
      queues: the current queues.
      keys: keys of the averaged model, `[B, D]`.
      labels: class labels `[B]`; keys of invalid labels (-1, missing) are not enqueued. If there
        are more than M of one class, the last M are kept.

    Returns:
      The next queues.

    Raises:
      ValueError: if shapes do not match (when traced).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> queues = transfer.empty_queues(num_classes=2, length=4, size=3)
      >>> transfer.enqueue(queues, jnp.ones((4, 3)), jnp.array([0, 1, 1, -1])).filled.tolist()
      [1, 2]
    """
    count, length, size = queues.keys.shape
    labels = jnp.asarray(labels).astype(jnp.int32)
    if keys.shape != (*labels.shape, size) or labels.ndim != 1:
        raise ValueError(
            f"enqueue needs keys [B, {size}] and labels [B], not {keys.shape} and {labels.shape}"
        )
    one_hot = labels[:, None] == jnp.arange(count, dtype=jnp.int32)[None]  # [B, C]
    total = one_hot.sum(0, dtype=jnp.int32)
    is_valid = one_hot.any(1)
    row = jnp.where(is_valid, labels, 0)
    ranks = jnp.cumsum(one_hot, 0, dtype=jnp.int32) - 1
    rank = jnp.where(one_hot, ranks, 0).sum(1, dtype=jnp.int32)
    # No duplicate indices: the order of two writes to one index is undefined.
    selected = is_valid & (rank >= total[row] - length)
    row = jnp.where(selected, row, count)
    column = (queues.place[jnp.minimum(row, count - 1)] + rank) % length
    new = jax.lax.stop_gradient(keys).astype(queues.keys.dtype)
    return ClassQueues(
        queues.keys.at[row, column].set(new, mode="drop"),
        (queues.place + total) % length,
        jnp.minimum(queues.filled + total, length),
    )


def require_shapes(
    name: str, vectors: jax.Array, labels: jax.Array, queues: ClassQueues, ends: tuple[int, int]
) -> None:
    """Requires vectors and labels of one batch, and queues `[C, M, D]` of the given C and D."""
    count, _, size = queues.keys.shape
    if vectors.ndim != 2 or labels.shape != vectors.shape[:1] or (count, size) != ends:
        raise ValueError(
            f"{name} needs vectors [B, D], labels [B] and queues [{ends[0]}, M, {ends[1]}], "
            f"not {vectors.shape}, {labels.shape} and {queues.keys.shape}"
        )
