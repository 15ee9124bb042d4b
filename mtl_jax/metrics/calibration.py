"""Metrics of predicted probabilities, and top-k accuracy."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.metric import Metric
from mtl_jax.core.target_types import MULTICLASS, TargetType
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_int
from mtl_jax.losses.classify import is_class
from mtl_jax.metrics.entries import class_entries
from mtl_jax.metrics.predictions import MeanState, masked_sums


@typechecked
@dataclasses.dataclass(frozen=True)
class TopKAccuracy(Metric):
    """Fraction of examples whose class is among the k largest outputs.

    Outputs equal to that of the true class count as larger where their index is lower, as in
    `jax.lax.top_k`.

    Attributes:
      k: number of classes that are tried, at least 1.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.TopKAccuracy(2), jnp.array([[3.0, 2.0, 1.0]] * 2)
      >>> sums = metric.from_model_output(logits, jnp.array([1, 2]), jnp.ones(2, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    target_types: ClassVar[tuple[TargetType, ...]] = MULTICLASS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    k: int = 5

    def __post_init__(self):
        require_int(self, k=1)

    @property
    def name(self) -> str:
        """Name of the table column."""
        return f"top-{self.k} accuracy"

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps logits `[B, ..., C]`, classes `[B, ...]` and a mask `[B]` to sums."""
        logits, labels, known = class_entries(self.name, logits, labels, mask)
        own = jnp.where(is_class(labels, logits), logits, -jnp.inf).max(-1, keepdims=True)
        classes = jnp.arange(logits.shape[-1], dtype=jnp.int32)[None]
        before = (logits > own) | ((logits == own) & (classes < labels[:, None]))
        return masked_sums((before.sum(-1) < self.k).astype(logits.dtype), known)

    def compute(self, sums: MeanState) -> jax.Array:
        """The fraction `[]`; NaN without examples."""
        return jnp.divide(sums.total, sums.count)


@typechecked
@dataclasses.dataclass(frozen=True)
class NegativeLogLikelihood(Metric):
    """Mean cross-entropy of the true class, in nats; as `log_loss` of scikit-learn.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric = metrics.NegativeLogLikelihood()
      >>> sums = metric.from_model_output(jnp.zeros((1, 2)), jnp.array([1]), jnp.ones(1, bool))
      >>> round(float(metric.compute(sums)), 4)
      0.6931
    """

    name: ClassVar[str] = "nll"
    target_types: ClassVar[tuple[TargetType, ...]] = MULTICLASS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps logits `[B, ..., C]`, classes `[B, ...]` and a mask `[B]` to sums."""
        logits, labels, known = class_entries(self.name, logits, labels, mask)
        own = jnp.where(is_class(labels, logits), jax.nn.log_softmax(logits), 0.0).sum(-1)
        return masked_sums(-own, known)

    def compute(self, sums: MeanState) -> jax.Array:
        """The mean `[]`; NaN without examples."""
        return jnp.divide(sums.total, sums.count)


@typechecked
@dataclasses.dataclass(frozen=True)
class BrierScore(Metric):
    """Squared distance of the probabilities from the one-hot label, `mean sum_c (p_c - y_c)^2`.

    In [0, 2]; for two classes, scikit-learn's `brier_score_loss` is half of it by default.

    Reference: Brier, Monthly Weather Review 1950, equation 2.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric = metrics.BrierScore()
      >>> sums = metric.from_model_output(jnp.zeros((1, 2)), jnp.array([1]), jnp.ones(1, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    name: ClassVar[str] = "brier"
    target_types: ClassVar[tuple[TargetType, ...]] = MULTICLASS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps logits `[B, ..., C]`, classes `[B, ...]` and a mask `[B]` to sums."""
        logits, labels, known = class_entries(self.name, logits, labels, mask)
        difference = jax.nn.softmax(logits) - is_class(labels, logits).astype(logits.dtype)
        return masked_sums(jnp.square(difference).sum(-1), known)

    def compute(self, sums: MeanState) -> jax.Array:
        """The mean `[]`; NaN without examples."""
        return jnp.divide(sums.total, sums.count)


class BinState(NamedTuple):
    """Sums over the examples in each bin of confidence, `[bins]`."""

    confidence: jax.Array
    correct: jax.Array


@typechecked
@dataclasses.dataclass(frozen=True)
class ExpectedCalibrationError(Metric):
    """Difference of confidence and accuracy, averaged over bins of equal width by their examples.

    `sum_b n_b / n |acc_b - conf_b|`, where the confidence of an example is its largest
    probability, and bin b holds those in `((b - 1) / bins, b / bins]`.

    Reference: Guo et al., ICML 2017, equation 3 (https://arxiv.org/abs/1706.04599).

    Attributes:
      bins: number of bins, at least 1.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric = metrics.ExpectedCalibrationError()
      >>> sums = metric.from_model_output(jnp.zeros((2, 2)), jnp.array([0, 0]), jnp.ones(2, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    name: ClassVar[str] = "ece"
    target_types: ClassVar[tuple[TargetType, ...]] = MULTICLASS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    bins: int = 15

    def __post_init__(self):
        require_int(self, bins=1)

    def from_model_output(
        self, logits: jax.Array, labels: jax.Array, mask: jax.Array
    ) -> tuple[BinState, jax.Array]:
        """Maps logits `[B, ..., C]`, classes `[B, ...]` and a mask `[B]` to sums and a count."""
        logits, labels, known = class_entries(self.name, logits, labels, mask)
        confidence = jax.nn.softmax(logits).max(-1)
        correct = (logits.argmax(-1).astype(jnp.int32) == labels).astype(logits.dtype)
        place = jnp.ceil(confidence * self.bins).astype(jnp.int32) - 1
        place = jnp.clip(place, 0, self.bins - 1)

        def by_bin(values):
            return jnp.zeros(self.bins, values.dtype).at[place].add(jnp.where(known, values, 0.0))

        return BinState(by_bin(confidence), by_bin(correct)), known.sum(dtype=logits.dtype)

    def compute(self, sums: tuple[BinState, jax.Array]) -> jax.Array:
        """The calibration error `[]`; NaN without examples."""
        by_bin, count = sums
        return jnp.divide(jnp.abs(by_bin.confidence - by_bin.correct).sum(), count)
