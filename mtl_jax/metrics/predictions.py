"""Prediction metrics, computed from sums that can be accumulated over batches and devices."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.metric import Metric
from mtl_jax.core.target_types import CONTINUOUS, TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.metrics.entries import class_entries, number_entries


class MeanState(NamedTuple):
    """Sufficient statistics of a mean; accumulate with `jax.tree.map(jnp.add, a, b)`."""

    total: jax.Array  # [], float32
    count: jax.Array  # [], float32: exact up to 2^24 examples


@typechecked
@dataclasses.dataclass(frozen=True)
class Accuracy(Metric):
    """Fraction of examples, or pixels, whose class is predicted correctly, in [0, 1].

    The predicted class is the argmax of the logits; with one output, 1 if it is above 0, else 0.
    Multilabel targets are not supported, since subset accuracy and the fraction of correct labels
    are both in use: see `F1`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.Accuracy(), jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
      >>> labels, mask = jnp.array([0, 1, 1]), jnp.array([True, True, False])
      >>> sums = metric.from_model_output(logits, labels, mask)
      >>> float(metric.compute(sums))
      1.0
    """

    name: ClassVar[str] = "accuracy"
    target_types: ClassVar[tuple[TargetType, ...]] = ("multiclass", "binary")
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0  # Tables print percent.

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps logits `[B, ..., C]`, classes `[B, ...]` and a bool mask `[B]` to sums.

        In a map, a negative class is missing. With one output, labels are 0 and 1, `[B]` or
        `[B, 1]`.

        Raises:
          ValueError: at trace time, if shapes or dtypes do not match.
        """
        if logits.ndim > 2:
            logits, labels, mask = class_entries(self.name, logits, labels, mask)
        require_batch(self.name, logits, labels, mask)
        single = logits.shape[1] == 1
        if labels.ndim != 1 and not (single and labels.shape == logits.shape):
            raise ValueError(f"accuracy needs labels [B], not {labels.shape}")
        if single:
            correct = (logits[:, 0] > 0) == (labels.reshape(-1).astype(jnp.float32) > 0.5)
        else:
            correct = logits.argmax(-1).astype(jnp.int32) == labels.astype(jnp.int32)
        return masked_sums(correct.astype(jnp.float32), mask)

    def compute(self, sums: MeanState) -> jax.Array:
        """The accuracy `[]`; NaN if there were no examples."""
        return jnp.divide(sums.total, sums.count)


@typechecked
@dataclasses.dataclass(frozen=True)
class MeanSquaredError(Metric):
    """Squared error, averaged over the known targets of all examples and outputs.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, targets = metrics.MeanSquaredError(), jnp.array([[1.0, jnp.nan], [0.0, 2.0]])
      >>> sums = metric.from_model_output(jnp.zeros((2, 2)), targets, jnp.array([True, True]))
      >>> round(float(metric.compute(sums)), 3)
      1.667
    """

    name: ClassVar[str] = "mse"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps predictions and targets `[B, ..., D]` and a mask `[B]` to sums.

        Targets may be `[B, ...]` when D is 1; NaN is a missing one. The count is in examples or
        pixels, so that an entry counts 1/D.

        Raises:
          ValueError: at trace time, if shapes or dtypes do not match.
        """
        predictions, targets, known = number_entries(self.name, logits, labels, mask)
        errors = jnp.where(known, jnp.square(predictions - targets), 0.0)
        count = known.sum(dtype=errors.dtype) / predictions.shape[-1]
        return MeanState(errors.mean(-1).sum(), count)

    def compute(self, sums: MeanState) -> jax.Array:
        """The mean squared error `[]`; NaN if there were no examples."""
        return jnp.divide(sums.total, sums.count)


def require_batch(name: str, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> None:
    """Requires logits `[B, C]`, labels `[B, ...]` and a bool mask `[B]`."""
    size = logits.shape[:1]
    valid = logits.ndim == 2 and labels.shape[:1] == size and mask.shape == size
    if not valid or mask.dtype != bool:
        raise ValueError(
            f"{name} needs logits [B, C], labels [B] and a mask of bools [B], not logits "
            f"{logits.shape}, labels {labels.shape} and mask {mask.dtype}{mask.shape}"
        )


def masked_sums(values: jax.Array, mask: jax.Array) -> MeanState:
    """Sum and number of the values in the mask, of any shape."""
    return MeanState(jnp.where(mask, values, 0.0).sum(), mask.sum(dtype=values.dtype))
