"""LogME: the evidence that a linear model of the features has for the labels."""

import math

import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer.transferability.validation import labelled, matrix, require_finite

# The ratio of precisions is searched this far below and above the largest eigenvalue of F^T F, by
# as many points at a time between the neighbours of the best one, as many times.
RANGE, POINTS, ROUNDS = 1e12, 33, 7


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of the log evidence per example, one class against the rest; natural log.

    `log p(y | F) / N` of `y = F m + noise`, `m ~ N(0, 1/a)`, `noise ~ N(0, 1/b)`, y 1 for the
    class and 0 for the others, at the a and b where it is largest. Higher is better. There is
    no intercept, and features are not centred.

    The search finds the best a / b of all; TLLib takes at most 11 steps from a = b, and ends up to
    0.3 % lower where features say nothing of a class (1e-6 where they say something). Labels that
    the features tell exactly would have no noise and an endless evidence: the squared error
    counts as at least 2e-16 of `||y||^2`.

    Args:
      features: of the source net, numbers `[N, D]`.
      labels: whole numbers `[N]`; examples without a label (-1) are left out.

    Returns:
      The score.

    Raises:
      BadInput: for no labelled example, one class, lengths that differ, or what is not finite.

    Reference: You et al., LogME: Practical Assessment of Pre-trained Models for Transfer
      Learning, ICML 2021, the section on the evidence and its Algorithm 1
      (https://arxiv.org/abs/2102.11005).
    """
    features, labels = labelled("logme", features, labels)
    targets = (labels[:, None] == np.unique(labels)).astype(np.float64)
    return mean_evidence(features, targets)


def logme_regression(features: np.ndarray, targets: np.ndarray) -> float:
    """Mean over T columns of numbers of the log evidence per example, as in `logme`.

    Args:
      features: of the source net, numbers `[N, D]`.
      targets: numbers `[N, T]` or `[N]`; where one is missing (NaN), its column is of the others.

    Returns:
      The score.

    Raises:
      BadInput: for a column without a target, lengths that differ, what is not finite, or a
        column of zeros.

    Reference: as `logme`.
    """
    name = "logme_regression"
    targets = np.asarray(targets, np.float64)
    targets = targets[:, None] if targets.ndim == 1 else targets
    targets = matrix(name, targets, len(targets))
    features = matrix(name, features, len(targets))
    there = ~np.isnan(targets)
    if not len(targets) or not there.any(0).all():
        raise BadInput(f"{name} needs examples with targets in every column, there is none")
    features, targets, there = (array[there.any(1)] for array in (features, targets, there))
    require_finite(name, features)
    require_finite(name, np.where(there, targets, 0.0))
    if not (there & (targets != 0)).any(0).all():
        raise BadInput(f"{name} needs targets other than 0 in every column")
    if there.all():
        return mean_evidence(features, targets)
    columns = zip(targets.T, there.T, strict=True)
    return float(np.mean([mean_evidence(features[own], y[own, None]) for y, own in columns]))


def mean_evidence(features: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the columns of targets `[N, T]` of the evidence per example."""
    basis, values, _ = np.linalg.svd(features, full_matrices=False)
    inside = (basis.T @ targets) ** 2
    total = (targets**2).sum(0)
    outside = np.maximum(total - inside.sum(0), np.finfo(np.float64).eps * total)
    columns = zip(inside.T, outside, strict=True)
    each = [best_evidence(values**2, *column, len(features)) for column in columns]
    return float(np.mean(each)) / len(features)


def best_evidence(squares: np.ndarray, inside: np.ndarray, outside: float, count: int) -> float:
    """Largest log evidence over a and b.

    Args:
      squares: of the singular values, `[r]`.
      inside: squares of the target along the left singular vectors, `[r]`.
      outside: squared length of the rest of the target.
      count: N.
    """
    center = math.log(squares.max()) if squares.any() else 0.0
    low, high = center - math.log(RANGE), center + math.log(RANGE)
    for _ in range(ROUNDS):
        tried = np.linspace(low, high, POINTS)
        values = evidence(np.exp(tried)[:, None], squares, inside, outside, count)
        best = int(values.argmax())
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, POINTS - 1)]
    return float(values.max())


def evidence(
    ratios: np.ndarray, squares: np.ndarray, inside: np.ndarray, outside: float, count: int
) -> np.ndarray:
    """Log evidence `[P]` at the best b for each a / b `[P, 1]`."""
    shrunk = ratios / (squares + ratios)
    # b times this is all that the exponent has, so the best b is N over it.
    errors = outside + (shrunk * inside).sum(1)
    precision = count / (2.0 * math.pi * errors)
    # ln(s / l + 1) for each direction, with none lost where it is small.
    return 0.5 * (count * np.log(precision) - count - np.log1p(squares / ratios).sum(1))
