"""TransRate: how much shorter a code for features gets once the classes are known."""

import numpy as np

from mtl_jax.core.validation import require
from mtl_jax.transfer.transferability.validation import labelled


def transrate(
    features: np.ndarray, labels: np.ndarray, epsilon: float = 1e-4, *, by_size: bool = False
) -> float:
    """`R(f) - mean_c R(f_c)`, `R(f) = 1/2 log det(I + f^T f / (n e))`; higher is better.

    Features are centred once, over all classes; n are the rows of what R is of; natural
    logarithm. It grows with the scale of the features.

    Args:
      features: of the source net, numbers `[N, D]`.
      labels: whole numbers `[N]`; examples without a label (-1) are left out.
      epsilon: e, the distortion of the code, squared and by dimension.
      by_size: whether classes count by their examples, `n_c / N`, as the conditional coding rate
        is defined, and not alike, as in TLLib.

    Returns:
      The score, in nats.

    Raises:
      BadInput: for no labelled example, one class, lengths that differ, what is not finite, or
        an epsilon that is not above 0.

    Reference: Huang et al., Frustratingly Easy Transferability Estimation, ICML 2022, the
      section on TransRate (https://arxiv.org/abs/2106.09362).
    """
    require(epsilon > 0, "transrate", "epsilon", "must be above 0", epsilon)
    features, labels = labelled("transrate", features, labels)
    centred = features - features.mean(0)
    names, counts = np.unique(labels, return_counts=True)
    rates = [coding_rate(centred[labels == name], epsilon) for name in names]
    inside = np.average(rates, weights=counts if by_size else None)
    return float(coding_rate(centred, epsilon) - inside)


def coding_rate(features: np.ndarray, epsilon: float) -> float:
    """`1/2 log det(I + f^T f / (n e))` in nats, of features `[n, D]`."""
    values = np.linalg.svd(features, compute_uv=False)
    return 0.5 * float(np.log1p(values**2 / (len(features) * epsilon)).sum())
