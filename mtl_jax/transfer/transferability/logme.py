"""LogME: the log evidence of a linear model of the labels given the features."""

import math

import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer.transferability.validation import require_finite, select_labelled, to_matrix

# Search over the ratio of precisions: range below and above the largest eigenvalue of F^T F, grid
# points per round (between the neighbours of the previous optimum), and number of rounds.
RANGE, POINTS, ROUNDS = 1e12, 33, 7


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """LogME: mean over one-vs-rest classes of the log evidence per example, natural logarithm.

    `log p(y | F) / N` of `y = F m + noise`, `m ~ N(0, 1/a)`, `noise ~ N(0, 1/b)`, with y 1 for the
    class and 0 for the others, at the a and b that maximize it. Higher is better. There is no
    intercept, and features are not centred.

    The search finds the global optimum of a / b; TLLib takes at most 11 steps from a = b, and its
    result is up to 0.3 % lower where features are not informative about a class (1e-6 where they
    are). Labels that are an exact function of the features would have no noise and infinite
    evidence: the squared error is bounded below by 2e-16 of `||y||^2`.

    Args:
      features: features of the source model, floats `[N, D]`.
      labels: integers `[N]`; examples without a label (-1) are ignored.

    Returns:
      The score.

    Raises:
      BadInput: if there is no labelled example or only one class, if lengths differ, or if a value
        is not finite.

    Reference: You et al., LogME: Practical Assessment of Pre-trained Models for Transfer
      Learning, ICML 2021, the section on the evidence and its Algorithm 1
      (https://arxiv.org/abs/2102.11005).

    Example:
      >>> import numpy as np
      >>> from mtl_jax.transfer import transferability
      >>> labels = np.array([0, 0, 1, 1])
      >>> related = np.array([[1.0, 0.1], [0.9, 0.0], [0.0, 0.9], [0.1, 1.0]])
      >>> [round(transferability.logme(f, labels), 2) for f in (related, np.ones((4, 2)))]
      [-0.09, -1.01]
    """
    features, labels = select_labelled("logme", features, labels)
    targets = (labels[:, None] == np.unique(labels)).astype(np.float64)
    return mean_evidence(features, targets)


def logme_regression(features: np.ndarray, targets: np.ndarray) -> float:
    """Mean over T continuous targets of the log evidence per example, as in `logme`.

    Args:
      features: features of the source model, floats `[N, D]`.
      targets: continuous targets `[N, T]` or `[N]`; missing values (NaN) are ignored in their
        column.

    Returns:
      The score.

    Raises:
      BadInput: if a column has no target, lengths differ, a value is not finite, or a column is
        zero.

    Reference: see `logme`.

    Example:
      >>> import numpy as np
      >>> from mtl_jax.transfer import transferability
      >>> features = np.array([[1.0], [2.0], [3.0], [4.0]])
      >>> targets = np.array([[1.0, 1.0], [2.1, -1.0], [2.9, np.nan], [4.0, 1.0]])
      >>> [round(transferability.logme_regression(features, y), 2) for y in targets.T]
      [0.04, -1.42]
    """
    name = "logme_regression"
    targets = np.asarray(targets, np.float64)
    targets = targets[:, None] if targets.ndim == 1 else targets
    targets = to_matrix(name, targets, len(targets))
    features = to_matrix(name, features, len(targets))
    mask = ~np.isnan(targets)
    if not len(targets) or not mask.any(0).all():
        raise BadInput(f"{name} needs examples with targets in every column, there is none")
    features, targets, mask = (array[mask.any(1)] for array in (features, targets, mask))
    require_finite(name, features)
    require_finite(name, np.where(mask, targets, 0.0))
    if not (mask & (targets != 0)).any(0).all():
        raise BadInput(f"{name} needs targets other than 0 in every column")
    if mask.all():
        return mean_evidence(features, targets)
    columns = zip(targets.T, mask.T, strict=True)
    return float(np.mean([mean_evidence(features[rows], y[rows, None]) for y, rows in columns]))


def mean_evidence(features: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the columns of targets `[N, T]` of the log evidence per example."""
    basis, values, _ = np.linalg.svd(features, full_matrices=False)
    projected = (basis.T @ targets) ** 2
    total = (targets**2).sum(0)
    residual = np.maximum(total - projected.sum(0), np.finfo(np.float64).eps * total)
    columns = zip(projected.T, residual, strict=True)
    evidences = [best_evidence(values**2, *column, len(features)) for column in columns]
    return float(np.mean(evidences)) / len(features)


def best_evidence(
    eigenvalues: np.ndarray, projected: np.ndarray, residual: float, count: int
) -> float:
    """Maximum of the log evidence over a and b.

    Args:
      eigenvalues: squared singular values, `[r]`.
      projected: squared components of the target along the left singular vectors, `[r]`.
      residual: squared norm of the remaining component of the target.
      count: number of examples N.
    """
    center = math.log(eigenvalues.max()) if eigenvalues.any() else 0.0
    low, high = center - math.log(RANGE), center + math.log(RANGE)
    for _ in range(ROUNDS):
        grid = np.linspace(low, high, POINTS)
        values = evidence(np.exp(grid)[:, None], eigenvalues, projected, residual, count)
        best = int(values.argmax())
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, POINTS - 1)]
    return float(values.max())


def evidence(
    ratios: np.ndarray, eigenvalues: np.ndarray, projected: np.ndarray, residual: float, count: int
) -> np.ndarray:
    """Log evidence `[P]` at the optimal b for each a / b `[P, 1]`."""
    shrinkage = ratios / (eigenvalues + ratios)
    # The exponent is proportional to b times this, so the optimal b is N over it.
    errors = residual + (shrinkage * projected).sum(1)
    precision = count / (2.0 * math.pi * errors)
    # ln(s / l + 1) for each direction, accurate where it is small.
    return 0.5 * (count * np.log(precision) - count - np.log1p(eigenvalues / ratios).sum(1))
