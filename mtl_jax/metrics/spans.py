"""Metrics of spans, such as answers in a text, by the outputs of their first and last tokens."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.metric import Metric
from mtl_jax.core.tree import promote_float32
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_int
from mtl_jax.metrics.predictions import MeanState, masked_sums


@typechecked
@dataclasses.dataclass(frozen=True)
class ExactMatch(Metric):
    """Fraction of the examples whose predicted span is the true one.

    Predicted is the span with the largest sum of its start and end outputs. SQuAD compares the
    texts of the spans, which may also be equal elsewhere.

    Reference: Rajpurkar et al., EMNLP 2016, section 6.1 (https://arxiv.org/abs/1606.05250).

    Attributes:
      max_length: largest number of tokens of a predicted span, at least 1.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric = metrics.ExactMatch()
      >>> logits = jnp.array([[[0.0, 9.0], [2.0, 0.0], [0.0, 1.0]]])  # Not from 1 back to 0.
      >>> sums = metric.from_model_output(logits, jnp.array([[0, 0]]), jnp.ones(1, bool))
      >>> float(metric.compute(sums))
      1.0
    """

    name: ClassVar[str] = "exact match"
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    max_length: int = 30

    def __post_init__(self):
        require_int(self, max_length=1)

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps outputs, labels and a mask, as in `span_entries`, to sums."""
        predicted, true, known = span_entries(self.name, logits, labels, mask, self.max_length)
        same = (predicted.start == true.start) & (predicted.end == true.end)
        return masked_sums(same.astype(jnp.result_type(float)), known)

    def compute(self, sums: MeanState) -> jax.Array:
        """The fraction `[]`; NaN without examples."""
        return jnp.divide(sums.total, sums.count)


@typechecked
@dataclasses.dataclass(frozen=True)
class SpanF1(Metric):
    """F1 of the tokens in the predicted and the true span, its mean over the examples.

    `2 c / (p + t)` with p predicted tokens, t true ones and c common ones. SQuAD's F1 compares the
    words of the texts, regardless of their place.

    Reference: Rajpurkar et al., EMNLP 2016, section 6.1 (https://arxiv.org/abs/1606.05250).

    Attributes:
      max_length: largest number of tokens of a predicted span, at least 1.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, logits = metrics.SpanF1(), jnp.array([[[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]])
      >>> sums = metric.from_model_output(logits, jnp.array([[1, 1]]), jnp.ones(1, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    name: ClassVar[str] = "span f1"
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    max_length: int = 30

    def __post_init__(self):
        require_int(self, max_length=1)

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps outputs, labels and a mask, as in `span_entries`, to sums."""
        predicted, true, known = span_entries(self.name, logits, labels, mask, self.max_length)
        first = jnp.maximum(predicted.start, true.start)
        common = jnp.maximum(jnp.minimum(predicted.end, true.end) - first + 1, 0)
        sizes = predicted.end - predicted.start + true.end - true.start + 2
        dtype = jnp.result_type(float)
        scores = 2.0 * common.astype(dtype) / jnp.where(known, sizes, 1).astype(dtype)
        return masked_sums(scores, known)

    def compute(self, sums: MeanState) -> jax.Array:
        """The mean F1 `[]`; NaN without examples."""
        return jnp.divide(sums.total, sums.count)


class Spans(NamedTuple):
    """First and last token of spans, inclusive, int32 `[B]`."""

    start: jax.Array
    end: jax.Array


def span_entries(
    name: str, logits: jax.Array, labels: jax.Array, mask: jax.Array, max_length: int
) -> tuple[Spans, Spans, jax.Array]:
    """Predicted spans, true spans, and which of these are known, bool `[B]`.

    Args:
      name: metric, for the error.
      logits: of starts and ends, `[B, T, 2]`; very negative, such as -1e9, at padding.
      labels: first and last token, integers `[B, 2]`, negative where missing. A question without
        an answer has the span of a token that stands for this, such as (0, 0) of BERT's [CLS].
      mask: the examples that count, bool `[B]`.
      max_length: largest number of tokens of a predicted span.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.
    """
    fits = logits.ndim == 3 and logits.shape[2] == 2 and labels.shape == (len(logits), 2)
    fits = fits and mask.shape == labels.shape[:1] and mask.dtype == bool
    if not fits or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"{name} needs logits [B, T, 2], integer labels [B, 2] and a mask of bools [B], not "
            f"{logits.shape}, {labels.dtype}{labels.shape} and {mask.dtype}{mask.shape}"
        )
    true = Spans(*labels.astype(jnp.int32).T)
    return best_spans(promote_float32(logits), max_length), true, mask & (labels >= 0).all(-1)


def best_spans(logits: jax.Array, max_length: int) -> Spans:
    """The spans with the largest sum of start and end; of equal ones, that which ends first."""
    starts, ends = logits[..., 0], logits[..., 1]
    size = min(max_length, logits.shape[1])
    least = jnp.array(-jnp.inf, logits.dtype)
    # The best start of each end, in O(T) memory.
    best = jax.lax.reduce_window(
        starts, least, jax.lax.max, (1, size), (1, 1), ((0, 0), (size - 1, 0))
    )
    end = (best + ends).argmax(-1).astype(jnp.int32)
    places = jnp.arange(logits.shape[1], dtype=jnp.int32)[None]
    inside = (places <= end[:, None]) & (places > end[:, None] - size)
    start = jnp.where(inside, starts, least).argmax(-1).astype(jnp.int32)
    return Spans(start, end)
