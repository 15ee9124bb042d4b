"""How predictions are judged: sums that add up over batches, masks and devices."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.typed import typed


class Sums(NamedTuple):
    """What a mean is made of; add them with `jax.tree.map(jnp.add, a, b)`."""

    total: jax.Array  # [], float32
    count: jax.Array  # [], float32: exact up to 2^24 examples


@typed
@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Share of examples whose largest logit is the label's, in [0, 1]."""

    name: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0  # Tables print percent.

    def sums(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Sums:
        """Maps logits `[B, C]`, classes `[B]` and a mask of bools `[B]` to sums.

        Raises:
          ValueError: if shapes or dtypes do not fit, when traced.
        """
        require_batch(self.name, logits, labels, mask)
        if labels.ndim != 1:
            raise ValueError(f"accuracy needs labels [B], not {labels.shape}")
        hit = logits.argmax(-1).astype(jnp.int32) == labels.astype(jnp.int32)
        return sums_of(hit.astype(jnp.float32), mask)

    def compute(self, sums: Sums) -> jax.Array:
        """The accuracy `[]`; NaN if there was no example."""
        return jnp.divide(sums.total, sums.count)


@typed
@dataclasses.dataclass(frozen=True)
class MeanSquaredError:
    """Mean over examples and outputs of the squared error."""

    name: ClassVar[str] = "mse"
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0

    def sums(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Sums:
        """Maps predictions `[B, D]`, targets `[B, D]` or `[B]` (D = 1), mask `[B]` to sums.

        A target that is not in the mask may be NaN.

        Raises:
          ValueError: if shapes or dtypes do not fit, when traced.
        """
        require_batch(self.name, logits, labels, mask)
        targets = labels[:, None] if labels.ndim == 1 else labels
        if targets.shape != logits.shape:
            raise ValueError(f"mse needs labels {logits.shape}, not {labels.shape}")
        error = logits.astype(jnp.float32) - targets.astype(jnp.float32)
        return sums_of(jnp.square(error).mean(-1), mask)

    def compute(self, sums: Sums) -> jax.Array:
        """The mean squared error `[]`; NaN if there was no example."""
        return jnp.divide(sums.total, sums.count)


class Counts(NamedTuple):
    """How often a positive was found, missed, or seen where there was none; `[]` each, float32."""

    found: jax.Array
    missed: jax.Array
    wrong: jax.Array


@typed
@dataclasses.dataclass(frozen=True)
class F1:
    """Harmonic mean of precision and recall of the positive class, `2 TP / (2 TP + FP + FN)`.

    Of a task with one output; an output above 0 says "positive". It is 0 where nothing is
    positive and nothing was said to be.
    """

    name: ClassVar[str] = "f1"
    higher_is_better: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0

    def sums(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Counts:
        """Maps logits `[B, 1]`, labels `[B]` of 0 and 1 and a mask of bools `[B]` to counts.

        Raises:
          ValueError: if shapes or dtypes do not fit, when traced.
        """
        require_batch(self.name, logits, labels, mask)
        if logits.shape[1:] != (1,) or labels.ndim != 1:
            raise ValueError(
                f"f1 needs logits [B, 1], labels [B], not {logits.shape}, {labels.shape}"
            )
        said, there = logits[:, 0] > 0, labels > 0.5

        def count(which):
            return (which & mask).sum(dtype=jnp.float32)

        return Counts(count(said & there), count(~said & there), count(said & ~there))

    def compute(self, sums: Counts) -> jax.Array:
        """The F1 score `[]`."""
        total = 2.0 * sums.found + sums.wrong + sums.missed
        return 2.0 * sums.found / jnp.maximum(total, 1.0)


def require_batch(name: str, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> None:
    """Requires logits `[B, ...]`, labels `[B, ...]` and a mask of bools `[B]`."""
    size = logits.shape[:1]
    fits = logits.ndim == 2 and labels.shape[:1] == size and mask.shape == size
    if not fits or mask.dtype != bool:
        raise ValueError(
            f"{name} needs logits [B, C], labels [B] and a mask of bools [B], not logits "
            f"{logits.shape}, labels {labels.shape} and mask {mask.dtype}{mask.shape}"
        )


def sums_of(each: jax.Array, mask: jax.Array) -> Sums:
    """Sums values `[B]` over the examples in the mask `[B]`."""
    return Sums(jnp.where(mask, each, 0.0).sum(), mask.sum(dtype=jnp.float32))
