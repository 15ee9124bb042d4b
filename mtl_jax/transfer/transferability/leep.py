"""LEEP: how well the source classes that a source net sees tell the target classes."""

import numpy as np

from mtl_jax.transfer.transferability.validation import labelled, require_probabilities


def leep(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """`mean_i log sum_z P(y_i | z) p_i(z)`, at most 0; higher is better.

    `P(y, z) = 1/N sum_{i: y_i = y} p_i(z)` and `P(y | z) = P(y, z) / P(z)`; natural logarithm.
    With probabilities of 0 and 1 it is `nce`.

    Args:
      probabilities: of the source classes, `[N, Z]`.
      labels: target classes, whole numbers `[N]`; -1 is left out.

    Returns:
      The score.

    Raises:
      BadInput: for no labelled example, one class, lengths that differ, or what is no
        probability.

    Reference: Nguyen et al., LEEP: A New Measure to Evaluate Transferability of Learned
      Representations, ICML 2020, Section 3 (https://arxiv.org/abs/2002.12462).
    """
    probabilities, labels = labelled("leep", probabilities, labels)
    require_probabilities("leep", probabilities)
    _, places = np.unique(labels, return_inverse=True)
    joint = np.zeros((places.max() + 1, probabilities.shape[1]))
    np.add.at(joint, places, probabilities)
    totals = joint.sum(0)
    given = joint / np.where(totals > 0, totals, 1.0)
    return float(np.log((given[places] * probabilities).sum(1)).mean())
