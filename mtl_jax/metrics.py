"""How predictions are judged: sums that add up over batches, and summaries of tables."""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.checks import require


class Sums(NamedTuple):
    """What a mean is made of; add them with `jax.tree.map(jnp.add, a, b)`."""

    total: jax.Array  # [], float32
    count: jax.Array  # [], float32: exact up to 2^24 examples


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


def delta_m(
    values: jax.Array, baselines: jax.Array, higher_is_better: tuple[bool, ...]
) -> jax.Array:
    """Mean relative loss against single-task baselines, in percent: LOWER is better.

    `100/K sum_k (-1)^(h_k) (M_k - B_k) / B_k`, with h_k = 1 where higher is better, so that
    below 0 is better than the baselines. Other papers average by task first and turn the
    sign (Delta_p); the two do not compare.

    Args:
      values: the K metrics `[..., K]`.
      baselines: the same metrics of single-task runs `[..., K]`, or `[K]` for all.
      higher_is_better: for each of the K metrics.

    Returns:
      Percent `[...]`.

    Raises:
      ValueError: if the K differ.

    Reference: Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022, Section 6
      (https://arxiv.org/abs/2202.01017).
    """
    values = jnp.asarray(values)
    shapes = (values.shape[-1:], jnp.shape(baselines)[-1:])
    if set(shapes) != {(len(higher_is_better),)}:
        raise ValueError(
            f"delta_m needs values [..., K], baselines [..., K] and K = {len(higher_is_better)} "
            f"bools, not {values.shape} and {jnp.shape(baselines)}"
        )
    signs = jnp.where(jnp.array(higher_is_better, bool), -1.0, 1.0).astype(values.dtype)
    baselines = jnp.broadcast_to(jnp.asarray(baselines), values.shape)
    change = (values - baselines) / baselines
    return 100.0 * (change * jnp.broadcast_to(signs, values.shape)).mean(-1)


def interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Mean and half width of its confidence interval, by Student's t.

    `t_{S-1} sd / sqrt(S)`, with the unbiased variance.

    Args:
      values: one number a seed, `[S]`.
      confidence: of the two-sided interval.

    Returns:
      The mean and the half width, which is NaN for one value.

    Raises:
      BadInput: without values, or for a confidence outside (0, 1).
    """
    from scipy import special  # Only tables need it.

    values = np.asarray(values, np.float64)
    flat = values.ndim == 1 and values.size > 0
    require(flat, "interval", "values", "must be numbers [S], at least one", values.shape)
    require(0.0 < confidence < 1.0, "interval", "confidence", "must lie in (0, 1)", confidence)
    if values.size == 1:
        return float(values[0]), math.nan
    quantile = special.stdtrit(values.size - 1, (1.0 + confidence) / 2.0)
    return float(values.mean()), float(quantile * values.std(ddof=1) / math.sqrt(values.size))
