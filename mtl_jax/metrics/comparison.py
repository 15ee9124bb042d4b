"""Comparison of runs: relative to single-task baselines, mean ranks, intervals and tests."""

import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import require

Verdict = Literal["helped", "hurt", "open"]


def delta_m(
    values: jax.Array, baselines: jax.Array, higher_is_better: tuple[bool, ...]
) -> jax.Array:
    """Mean relative performance drop against single-task baselines, in percent; LOWER is better.

    `100/K sum_k (-1)^(h_k) (M_k - B_k) / B_k`, with h_k = 1 where higher is better, so that
    negative values are better than the baselines. Other papers average per task first and flip
    the sign (`delta_p`); the two are not comparable.

    Args:
      values: the K metrics `[..., K]`.
      baselines: the same metrics of single-task runs, `[..., K]` or broadcast from `[K]`.
      higher_is_better: for each of the K metrics.

    Returns:
      Percentages `[...]`.

    Raises:
      ValueError: if the K differ.

    Reference: Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022, Section 6
      (https://arxiv.org/abs/2202.01017).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> values, baselines = jnp.array([0.5, 2.0]), jnp.array([0.4, 2.5])
      >>> round(float(metrics.delta_m(values, baselines, higher_is_better=(True, False))), 1)
      -22.5
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


def confidence_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Mean and half-width of its Student's t confidence interval.

    The half-width is `t_{S-1} sd / sqrt(S)`, with the unbiased variance.

    Args:
      values: one value per seed, `[S]`.
      confidence: level of the two-sided interval.

    Returns:
      The mean and the half-width, which is NaN for a single value.

    Raises:
      BadInput: if `values` is empty or not 1-D, or `confidence` is outside (0, 1).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> mean, half_width = metrics.confidence_interval(np.array([0.8, 0.9, 1.0]))
      >>> round(mean, 2), round(half_width, 2)
      (0.9, 0.25)
    """
    from scipy import special  # Only tables need it.

    values = np.asarray(values, np.float64)
    valid = values.ndim == 1 and values.size > 0
    rule = "must be numbers [S], at least one"
    require(valid, "confidence_interval", "values", rule, values.shape)
    inside = 0.0 < confidence < 1.0
    require(inside, "confidence_interval", "confidence", "must lie in (0, 1)", confidence)
    if values.size == 1:
        return float(values[0]), math.nan
    quantile = special.stdtrit(values.size - 1, (1.0 + confidence) / 2.0)
    return float(values.mean()), float(quantile * values.std(ddof=1) / math.sqrt(values.size))


def delta_p(
    values: jax.Array,
    baselines: jax.Array,
    higher_is_better: tuple[bool, ...],
    tasks: tuple[int, ...],
) -> jax.Array:
    """Mean over tasks of the mean relative gain of a task's metrics, in percent; HIGHER is better.

    `100/K sum_k 1/n_k sum_m (-1)^(1 - h_m) (M_m - B_m) / B_m` over the n_k metrics m of task k.
    With one metric per task it equals `-delta_m`.

    Args:
      values: all metrics `[..., M]`.
      baselines: the same metrics of single-task runs, `[..., M]` or broadcast from `[M]`.
      higher_is_better: for each of the M metrics.
      tasks: for each of the M metrics, the index of its task.

    Returns:
      Percentages `[...]`.

    Raises:
      ValueError: if the M differ.

    Reference: Lin et al., A Closer Look at Loss Weighting in Multi-Task Learning, 2021, its
      section on evaluation (https://arxiv.org/abs/2111.10603).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> values, baselines = jnp.array([0.6, 0.6, 2.0]), jnp.array([0.4, 0.5, 2.5])
      >>> round(float(metrics.delta_p(values, baselines, (True, True, False), tasks=(0, 0, 1))), 1)
      27.5
    """
    if len(tasks) != len(higher_is_better):
        raise ValueError(f"delta_p needs {len(higher_is_better)} task numbers, not {len(tasks)}")
    gains = []
    for task in sorted(set(tasks)):
        metrics = [m for m, task_of_m in enumerate(tasks) if task_of_m == task]
        drop = delta_m(
            jnp.asarray(values)[..., jnp.array(metrics)],
            jnp.asarray(baselines)[..., jnp.array(metrics)],
            tuple(higher_is_better[m] for m in metrics),
        )
        gains.append(-drop)
    return jnp.stack(gains).mean(0)


def mean_rank(
    values: np.ndarray,
    higher_is_better: tuple[bool, ...],
    ties: Literal["average", "min", "dense"] = "average",
) -> np.ndarray:
    """Rank of each method, 1 is the best, averaged over the metrics.

    The ranks depend on the set of methods compared and on how ties are ranked: by the "average"
    of the tied ranks, by the smallest of them ("min"), or by ranks without gaps ("dense").

    Args:
      values: metrics of R methods, `[R, M]`.
      higher_is_better: for each of the M metrics.
      ties: how equal values are ranked.

    Returns:
      Mean ranks `[R]`.

    Raises:
      BadInput: for another shape or an unknown value of `ties`.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> values = np.array([[0.9, 1.0], [0.8, 0.5], [0.9, 2.0]])
      >>> metrics.mean_rank(values, higher_is_better=(True, False)).tolist()
      [1.75, 2.0, 2.25]
    """
    from scipy import stats  # Only tables need it.

    values = np.asarray(values, np.float64)
    valid = values.ndim == 2 and values.shape[1] == len(higher_is_better)
    rule = f"must be numbers [R, {len(higher_is_better)}]"
    require(valid, "mean_rank", "values", rule, values.shape)
    allowed = ("average", "min", "dense")
    require(ties in allowed, "mean_rank", "ties", f"must be one of {allowed}", ties)
    signed = np.where(np.array(higher_is_better), -values, values)
    return stats.rankdata(signed, method=ties, axis=0).mean(1)


def p_value(values: np.ndarray) -> float:
    """Two-sided p-value of a one-sample t-test that the mean over seeds `[S]` is 0.

    It is below 0.05 iff the 95 % `confidence_interval` excludes 0; NaN for a single value.

    Degenerate values: if all are equal, the p-value is 0, or 1 if their mean is 0.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> round(metrics.p_value(np.array([1.0, 2.0, 3.0])), 3)
      0.074
    """
    from scipy import special  # Only tables need it.

    values = np.asarray(values, np.float64)
    mean, deviation = values.mean(), values.std(ddof=1) if values.size > 1 else math.nan
    if deviation == 0.0:
        return 0.0 if mean != 0.0 else 1.0
    t = abs(mean) / (deviation / math.sqrt(values.size))
    return float(2.0 * special.stdtr(values.size - 1, -t))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm-adjusted p-values `[M]`, which control the family-wise error rate.

    In increasing order, `max_{j <= i} min(1, (M - j + 1) p_(j))`. NaN does not count as a
    comparison and stays NaN.

    Reference: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal
      of Statistics 1979.

    Example:
      >>> from mtl_jax import metrics
      >>> metrics.holm([0.01, 0.04, 0.03]).round(2).tolist()
      [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, np.float64)
    adjusted = np.full_like(values, math.nan)
    order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return adjusted


def verdicts(gains: Sequence[np.ndarray]) -> list[Verdict]:
    """Verdict on each of several gains `[S]` at the 5 % level, Holm-corrected for all of them.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> metrics.verdicts([np.array([1.0, 1.1, 1.2]), np.array([-1.0, 0.9, 0.2])])
      ['helped', 'open']
    """
    adjusted = holm([p_value(gain) for gain in gains])
    return [
        "open" if not p < 0.05 else "helped" if np.mean(gain) > 0 else "hurt"
        for gain, p in zip(gains, adjusted, strict=True)
    ]


def significance(gain: np.ndarray) -> Verdict:
    """Verdict on gains over single-task `[S]` at the 5 % level: "helped", "hurt" or "open".

    "hurt" is negative transfer. "open" if the interval of the mean contains 0, or for a single
    seed.
    """
    return verdicts([gain])[0]
