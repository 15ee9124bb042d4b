"""LEEP: how well the source classes predicted by a source model predict the target classes."""

import numpy as np

from mtl_jax.transfer.transferability.validation import require_probabilities, select_labelled


def leep(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """LEEP, `mean_i log sum_z P(y_i | z) p_i(z)`, at most 0; higher is better.

    `P(y, z) = 1/N sum_{i: y_i = y} p_i(z)` and `P(y | z) = P(y, z) / P(z)`; natural logarithm.
    Equals `nce` if all probabilities are 0 or 1.

    Args:
      probabilities: probabilities of the source classes, `[N, Z]`.
      labels: target classes, integers `[N]`; -1 is ignored.

    Returns:
      The score.

    Raises:
      BadInput: if there is no labelled example or only one class, if lengths differ, or if rows are
        not probabilities.

    Reference: Nguyen et al., LEEP: A New Measure to Evaluate Transferability of Learned
      Representations, ICML 2020, Section 3 (https://arxiv.org/abs/2002.12462).

    Example:
      >>> import numpy as np
      >>> from mtl_jax.transfer import transferability
      >>> labels = np.array([0, 0, 1, 1])
      >>> sure, uniform = np.eye(2)[labels], np.full((4, 2), 0.5)  # probabilities of the source
      >>> [round(transferability.leep(p, labels), 3) + 0.0 for p in (sure, uniform)]
      [0.0, -0.693]
    """
    probabilities, labels = select_labelled("leep", probabilities, labels)
    require_probabilities("leep", probabilities)
    _, indices = np.unique(labels, return_inverse=True)
    joint = np.zeros((indices.max() + 1, probabilities.shape[1]))
    np.add.at(joint, indices, probabilities)
    totals = joint.sum(0)
    conditional = joint / np.where(totals > 0, totals, 1.0)
    return float(np.log((conditional[indices] * probabilities).sum(1)).mean())
