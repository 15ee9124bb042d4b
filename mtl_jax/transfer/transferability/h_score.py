"""H-score: the between-class variance of whitened features."""

import numpy as np

from mtl_jax.transfer.transferability.validation import select_labelled


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """H-score, `tr(cov(f)^+ cov(E[f | y]))`, from 0 to min(C - 1, D); higher is better.

    Invariant to invertible linear maps of the features. Computed as
    `sum_c n_c ||mean_{y_i = c} u_i||^2`, with `U S V^T` the SVD of the centred features: no
    covariance is inverted, and directions without variance are ignored. If D is close to N or
    larger, the score is large for any labels: see `regularized_h_score`.

    Args:
      features: features of the source model, floats `[N, D]`.
      labels: integers `[N]`; examples without a label (-1) are ignored.

    Returns:
      The score, 0 if the features are constant.

    Raises:
      BadInput: if there is no labelled example or only one class, if lengths differ, or if a value
        is not finite.

    Reference: Bao et al., An Information-Theoretic Approach to Transferability in Task Transfer
      Learning, ICIP 2019, the definition of the H-score (https://arxiv.org/abs/2212.10082).

    Example:
      >>> import numpy as np
      >>> from mtl_jax.transfer import transferability
      >>> labels = np.array([0, 0, 1, 1])
      >>> features = np.array([[0.0, 1.0], [0.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
      >>> round(transferability.h_score(features, labels), 3)  # one direction separates the classes
      1.0
    """
    features, labels = select_labelled("h_score", features, labels)
    _, fractions = between_classes(features, labels)
    return float(fractions.sum())


def between_classes(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Singular values `[r]` of centred features, and the between-class fraction of each `[r]`."""
    basis, values, _ = np.linalg.svd(features - features.mean(0), full_matrices=False)
    tolerance = np.finfo(np.float64).eps * max(features.shape) * np.abs(features).max()
    mask = values > tolerance * np.sqrt(len(features))
    basis, values = basis[:, mask], values[mask]
    classes, counts = np.unique(labels, return_counts=True)
    sums = np.stack([basis[labels == c].sum(0) for c in classes])
    return values, (sums**2 / counts[:, None]).sum(0)
