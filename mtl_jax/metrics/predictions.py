"""How predictions are judged: sums that add up over batches, masks and devices."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.typechecked import typed
from mtl_jax.losses.masked import known_entries
from mtl_jax.losses.target_type import CONTINUOUS, TargetType


def is_unit_free(metric: object) -> bool:
    """Whether values of a metric can be averaged over tasks; a user's own may say `unit_free`."""
    return getattr(metric, "unit_free", False)


class Sums(NamedTuple):
    """What a mean is made of; add them with `jax.tree.map(jnp.add, a, b)`."""

    total: jax.Array  # [], float32
    count: jax.Array  # [], float32: exact up to 2^24 examples


@typed
@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Share of examples whose class is predicted, in [0, 1].

    The class of the largest logit; of one output, 1 where it is above 0, else 0. Not of several
    labels, where it may mean all right or the share of right ones: see `F1`.
    """

    name: ClassVar[str] = "accuracy"
    target_types: ClassVar[tuple[TargetType, ...]] = ("multiclass", "binary")
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0  # Tables print percent.

    def sums(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Sums:
        """Maps logits `[B, C]`, classes `[B]` and a mask of bools `[B]` to sums.

        With one output labels are 0 and 1, `[B]` or `[B, 1]`.

        Raises:
          ValueError: if shapes or dtypes do not fit, when traced.
        """
        require_batch(self.name, logits, labels, mask)
        single = logits.shape[1] == 1
        if labels.ndim != 1 and not (single and labels.shape == logits.shape):
            raise ValueError(f"accuracy needs labels [B], not {labels.shape}")
        if single:
            hit = (logits[:, 0] > 0) == (labels.reshape(-1).astype(jnp.float32) > 0.5)
        else:
            hit = logits.argmax(-1).astype(jnp.int32) == labels.astype(jnp.int32)
        return sums_of(hit.astype(jnp.float32), mask)

    def compute(self, sums: Sums) -> jax.Array:
        """The accuracy `[]`; NaN if there was no example."""
        return jnp.divide(sums.total, sums.count)


@typed
@dataclasses.dataclass(frozen=True)
class MeanSquaredError:
    """Mean over examples and outputs of the squared error; of those targets that are known."""

    name: ClassVar[str] = "mse"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0

    def sums(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Sums:
        """Maps predictions `[B, D]`, targets `[B, D]` or `[B]` (D = 1), mask `[B]` to sums.

        A target that is missing, in the mask or not, is NaN and does not count; the count is in
        examples, of which an entry is 1/D.

        Raises:
          ValueError: if shapes or dtypes do not fit, when traced.
        """
        require_batch(self.name, logits, labels, mask)
        targets = labels[:, None] if labels.ndim == 1 else labels
        if targets.shape != logits.shape:
            raise ValueError(f"mse needs labels {logits.shape}, not {labels.shape}")
        known = known_entries(targets, mask)
        error = logits.astype(jnp.float32) - targets.astype(jnp.float32)
        total = jnp.where(known, jnp.square(error), 0.0).mean(-1).sum()
        return Sums(total, known.sum(dtype=jnp.float32) / logits.shape[1])

    def compute(self, sums: Sums) -> jax.Array:
        """The mean squared error `[]`; NaN if there was no example."""
        return jnp.divide(sums.total, sums.count)


class Counts(NamedTuple):
    """How often a positive was found, missed, or seen where there was none, and all that is known.

    Float32, `[]` each, or by label `[D]`.
    """

    found: jax.Array
    missed: jax.Array
    wrong: jax.Array
    known: jax.Array


@typed
@dataclasses.dataclass(frozen=True)
class F1:
    """Harmonic mean of precision and recall of the positive class, `2 TP / (2 TP + FP + FN)`.

    An output above 0 says "positive". It is 0 where nothing is positive and nothing was said to
    be. Of several labels it is the mean of each label's ("macro"), over its known entries; a
    label of which none is known is left out.
    """

    name: ClassVar[str] = "f1"
    target_types: ClassVar[tuple[TargetType, ...]] = ("binary", "multilabel")
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0

    def sums(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Counts:
        """Maps logits `[B, D]`, labels of 0 and 1 and a mask of bools `[B]` to counts.

        Labels are `[B, D]`, NaN where missing, or `[B]` when D is 1.

        Raises:
          ValueError: if shapes or dtypes do not fit, when traced.
        """
        require_batch(self.name, logits, labels, mask)
        if labels.ndim == 1 and logits.shape[1] == 1:
            logits = logits[:, 0]
        if labels.shape != logits.shape:
            raise ValueError(
                f"f1 needs logits [B, D] and labels [B, D], or [B] when D is 1, not "
                f"{logits.shape} and {labels.shape}"
            )
        said, there = logits > 0, labels.astype(jnp.float32) > 0.5
        known = known_entries(labels, mask)

        def count(which):
            return (which & known).sum(0, dtype=jnp.float32)

        each = (said & there, ~said & there, said & ~there, jnp.ones_like(said))
        return Counts(*map(count, each))

    def compute(self, sums: Counts) -> jax.Array:
        """The F1 score `[]`; NaN if there was no example."""
        total = 2.0 * sums.found + sums.wrong + sums.missed
        judged = sums.known > 0
        each = jnp.where(judged, 2.0 * sums.found / jnp.maximum(total, 1.0), 0.0)
        return jnp.divide(each.sum(), judged.sum(dtype=each.dtype))


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
