"""TransRate: the reduction of the coding rate of features given the classes."""

import numpy as np

from mtl_jax.core.validation import require
from mtl_jax.transfer.transferability.validation import select_labelled


def transrate(
    features: np.ndarray, labels: np.ndarray, epsilon: float = 1e-4, *, by_size: bool = False
) -> float:
    """`R(f) - mean_c R(f_c)`, `R(f) = 1/2 log det(I + f^T f / (n e))`; higher is better.

    Features are centred once, over all classes; n is the number of rows of the argument of R;
    natural logarithm. It grows with the scale of the features.

    Args:
      features: features of the source model, floats `[N, D]`.
      labels: integers `[N]`; examples without a label (-1) are ignored.
      epsilon: e, the squared distortion of the code per dimension.
      by_size: whether to weight classes by their number of examples, `n_c / N`, as in the
        definition of the conditional coding rate, instead of equally, as in TLLib.

    Returns:
      The score, in nats.

    Raises:
      BadInput: if there is no labelled example or only one class, if lengths differ, if a value is
        not finite, or if epsilon is not positive.

    Reference: Huang et al., Frustratingly Easy Transferability Estimation, ICML 2022, the
      section on TransRate (https://arxiv.org/abs/2106.09362).

    Example:
      >>> import numpy as np
      >>> from mtl_jax.transfer import transferability
      >>> features = np.eye(3)[[0, 0, 1, 1, 2, 2]]
      >>> related, unrelated = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 2, 0, 1, 2])
      >>> [round(transferability.transrate(features, y), 2) for y in (related, unrelated)]
      [3.71, 0.14]
    """
    require(epsilon > 0, "transrate", "epsilon", "must be above 0", epsilon)
    features, labels = select_labelled("transrate", features, labels)
    centered = features - features.mean(0)
    classes, counts = np.unique(labels, return_counts=True)
    rates = [coding_rate(centered[labels == c], epsilon) for c in classes]
    conditional_rate = np.average(rates, weights=counts if by_size else None)
    return float(coding_rate(centered, epsilon) - conditional_rate)


def coding_rate(features: np.ndarray, epsilon: float) -> float:
    """`1/2 log det(I + f^T f / (n e))` in nats, of features `[n, D]`."""
    values = np.linalg.svd(features, compute_uv=False)
    return 0.5 * float(np.log1p(values**2 / (len(features) * epsilon)).sum())
