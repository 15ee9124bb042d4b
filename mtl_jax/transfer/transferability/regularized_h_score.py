"""Regularised H-score: the H-score with a shrinkage estimate of the covariance."""

import numpy as np

from mtl_jax.transfer.transferability.h_score import between_classes
from mtl_jax.transfer.transferability.validation import select_labelled


def regularized_h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """`tr(S_a^-1 (1 - a) cov(E[f | y]))`, `S_a = (1 - a) S + a tr(S) / D I`; higher is better.

    a is the Ledoit-Wolf shrinkage. As in TLLib, S divides by N, and the covariance between classes
    by N - 1. Unlike `h_score`, it depends on the relative scales of the features.

    Args:
      features: features of the source model, floats `[N, D]`.
      labels: integers `[N]`; examples without a label (-1) are ignored.

    Returns:
      The score, 0 if the features are constant.

    Raises:
      BadInput: if there is no labelled example or only one class, if lengths differ, or if a value
        is not finite.

    Reference: Ibrahim, Ponomareva and Mazumder, Newer is not always better, 2021, the section on
      the shrinkage-based H-score (https://arxiv.org/abs/2110.06893); Ledoit and Wolf, A
      Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, 2004.

    Example:
      >>> import numpy as np
      >>> from mtl_jax.transfer import transferability
      >>> features, labels = np.eye(4), np.array([0, 0, 1, 1])  # not related
      >>> scores = (transferability.h_score, transferability.regularized_h_score)
      >>> [round(score(features, labels), 3) for score in scores]
      [1.0, 0.0]
    """
    features, labels = select_labelled("regularized_h_score", features, labels)
    values, fractions = between_classes(features, labels)
    if not values.size:
        return 0.0
    variances = values**2 / len(features)
    a = shrinkage(features)
    floor = a * variances.sum() / features.shape[1]
    between = (1.0 - a) * values**2 * fractions / (len(features) - 1)
    return float((between / ((1.0 - a) * variances + floor)).sum())


def shrinkage(features: np.ndarray) -> float:
    """Ledoit-Wolf shrinkage of the covariance to `tr(S) / D I`, from 0 to 1, of features `[N, D]`.

    `min(1, b / d)`, `d = ||S - tr(S) / D I||_F^2`, `b = (mean_i ||x_i||^4 - ||S||_F^2) / N`.
    """
    centered = features - features.mean(0)
    # The result does not depend on the scale, but fourth powers may overflow.
    centered = centered / np.abs(centered).max()
    count, size = centered.shape
    # ||S||_F equals that of the smaller Gram matrix.
    gram = centered.T @ centered if size <= count else centered @ centered.T
    square = (gram**2).sum() / count**2
    trace = (centered**2).sum() / count
    delta = square - trace**2 / size
    beta = ((centered**2).sum(1) ** 2).mean() - square  # N b
    return float(min(1.0, beta / count / delta)) if beta < count * delta else 1.0
