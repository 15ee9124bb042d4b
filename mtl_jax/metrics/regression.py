"""Metrics of continuous targets: of vectors, or of maps such as depth."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.metric import Metric
from mtl_jax.core.target_types import CONTINUOUS, TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.metrics.entries import number_entries
from mtl_jax.metrics.predictions import MeanState, masked_sums


@typechecked
@dataclasses.dataclass(frozen=True)
class MeanAbsoluteError(Metric):
    """Absolute error, averaged over the known targets of all examples and outputs.

    NYUv2's and Cityscapes' absolute error of depth, where unknown depths are NaN.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, targets = metrics.MeanAbsoluteError(), jnp.array([[1.0, jnp.nan], [0.0, 2.0]])
      >>> sums = metric.from_model_output(jnp.zeros((2, 2)), targets, jnp.array([True, True]))
      >>> float(metric.compute(sums))
      1.0
    """

    name: ClassVar[str] = "mae"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps predictions and targets `[B, ..., D]` and a mask `[B]` to sums."""
        predictions, targets, known = number_entries(self.name, logits, labels, mask)
        return masked_sums(jnp.abs(predictions - targets), known)

    def compute(self, sums: MeanState) -> jax.Array:
        """The mean absolute error `[]`; NaN without examples."""
        return jnp.divide(sums.total, sums.count)


@typechecked
@dataclasses.dataclass(frozen=True)
class RootMeanSquaredError(Metric):
    """Square root of the squared error's mean over the known targets, in the targets' unit.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric = metrics.RootMeanSquaredError()
      >>> targets, mask = jnp.array([[3.0], [4.0]]), jnp.array([True, False])
      >>> float(metric.compute(metric.from_model_output(jnp.zeros((2, 1)), targets, mask)))
      3.0
    """

    name: ClassVar[str] = "rmse"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps predictions and targets `[B, ..., D]` and a mask `[B]` to sums."""
        predictions, targets, known = number_entries(self.name, logits, labels, mask)
        return masked_sums(jnp.square(predictions - targets), known)

    def compute(self, sums: MeanState) -> jax.Array:
        """The root of the mean squared error `[]`; NaN without examples."""
        return jnp.sqrt(jnp.divide(sums.total, sums.count))


@typechecked
@dataclasses.dataclass(frozen=True)
class AbsoluteRelativeError(Metric):
    """Absolute error relative to the target, `mean |f - y| / |y|`; a target of 0 does not count.

    The relative error of depth maps, whose unknown values are 0 in the benchmarks' files.

    Reference: Eigen et al., NeurIPS 2014, section 4 (https://arxiv.org/abs/1406.2283).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, targets = metrics.AbsoluteRelativeError(), jnp.array([[2.0], [0.0]])
      >>> sums = metric.from_model_output(jnp.ones((2, 1)), targets, jnp.ones(2, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    name: ClassVar[str] = "relative error"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps predictions and targets `[B, ..., D]` and a mask `[B]` to sums."""
        predictions, targets, known = number_entries(self.name, logits, labels, mask)
        known = known & (targets != 0)
        size = jnp.where(known, jnp.abs(targets), 1.0)
        return masked_sums(jnp.abs(predictions - targets) / size, known)

    def compute(self, sums: MeanState) -> jax.Array:
        """The mean relative error `[]`; NaN without examples."""
        return jnp.divide(sums.total, sums.count)


class R2State(NamedTuple):
    """Sums over the known targets of each output, `[D]`."""

    squared_errors: jax.Array
    targets: jax.Array
    squared_targets: jax.Array
    count: jax.Array


@typechecked
@dataclasses.dataclass(frozen=True)
class R2(Metric):
    """Coefficient of determination, `1 - sum (f - y)^2 / sum (y - mean y)^2`, mean of the outputs.

    As `r2_score` of scikit-learn; an output with constant targets is 1 if predicted exactly, else
    0. From sums of squares: in float32 the targets' mean should not be far above their spread.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, targets = metrics.R2(), jnp.array([[1.0], [2.0], [3.0]])
      >>> sums = metric.from_model_output(jnp.full((3, 1), 2.0), targets, jnp.ones(3, bool))
      >>> float(metric.compute(sums))
      0.0
    """

    name: ClassVar[str] = "R2"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> R2State:
        """Maps predictions and targets `[B, ..., D]` and a mask `[B]` to sums."""
        predictions, targets, known = number_entries(self.name, logits, labels, mask)
        errors = jnp.where(known, jnp.square(predictions - targets), 0.0)
        return R2State(
            squared_errors=errors.sum(0),
            targets=targets.sum(0),
            squared_targets=jnp.square(targets).sum(0),
            count=known.sum(0, dtype=targets.dtype),
        )

    def compute(self, sums: R2State) -> jax.Array:
        """The mean over the outputs with known targets `[]`; NaN without examples."""
        count = jnp.maximum(sums.count, 1.0)
        spread = sums.squared_targets - jnp.square(sums.targets) / count
        constant = spread <= 0
        scores = 1.0 - sums.squared_errors / jnp.where(constant, 1.0, spread)
        scores = jnp.where(constant, (sums.squared_errors == 0).astype(scores.dtype), scores)
        known = sums.count > 0
        return jnp.divide(jnp.where(known, scores, 0.0).sum(), known.sum(dtype=scores.dtype))
