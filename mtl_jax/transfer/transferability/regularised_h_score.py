"""Regularised H-score: the H-score with a covariance that few examples suffice for."""

import numpy as np

from mtl_jax.transfer.transferability.h_score import between_classes
from mtl_jax.transfer.transferability.validation import labelled


def regularised_h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """`tr(S_a^-1 (1 - a) cov(E[f | y]))`, `S_a = (1 - a) S + a tr(S) / D I`; higher is better.

    a is the shrinkage of Ledoit and Wolf. As in TLLib, S divides by N, and the covariance
    between classes by N - 1. Changes with the scales of the features among each other, unlike
    `h_score`.

    Args:
      features: of the source net, numbers `[N, D]`.
      labels: whole numbers `[N]`; examples without a label (-1) are left out.

    Returns:
      The score, 0 if the features do not vary.

    Raises:
      BadInput: for no labelled example, one class, lengths that differ, or what is not finite.

    Reference: Ibrahim, Ponomareva and Mazumder, Newer is not always better, 2021, the section on
      the shrinkage-based H-score (https://arxiv.org/abs/2110.06893); Ledoit and Wolf, A
      Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, 2004.
    """
    features, labels = labelled("regularised_h_score", features, labels)
    values, shares = between_classes(features, labels)
    if not values.size:
        return 0.0
    variances = values**2 / len(features)
    shrink = shrinkage(features)
    floor = shrink * variances.sum() / features.shape[1]
    between = (1.0 - shrink) * values**2 * shares / (len(features) - 1)
    return float((between / ((1.0 - shrink) * variances + floor)).sum())


def shrinkage(features: np.ndarray) -> float:
    """How far the covariance is to be drawn to `tr(S) / D I`, from 0 to 1, of features `[N, D]`.

    `min(1, b / d)`, `d = ||S - tr(S) / D I||_F^2`, `b = (mean_i ||x_i||^4 - ||S||_F^2) / N`.
    """
    centred = features - features.mean(0)
    # The scale does not count, and fourth powers would overflow by it.
    centred = centred / np.abs(centred).max()
    count, size = centred.shape
    # ||S||_F is that of the smaller of both Grams.
    small = centred.T @ centred if size <= count else centred @ centred.T
    square = (small**2).sum() / count**2
    trace = (centred**2).sum() / count
    away = square - trace**2 / size
    noise = ((centred**2).sum(1) ** 2).mean() - square
    return float(min(1.0, noise / count / away)) if noise < count * away else 1.0
