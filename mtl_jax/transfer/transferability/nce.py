"""NCE: how well source labels predict target labels on the same examples."""

import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer.transferability.validation import require_several, to_classes


def nce(source_labels: np.ndarray, labels: np.ndarray) -> float:
    """Negative conditional entropy, `-H(y | z) = mean_i log P(y_i | z_i)`, at most 0.

    P is the empirical distribution; natural logarithm; higher is better.

    Args:
      source_labels: z, labels of the source task, or a source model's predictions, integers `[N]`.
      labels: y, labels of the target task, integers `[N]`. Examples missing either label (-1) are
        ignored.

    Returns:
      The score.

    Raises:
      BadInput: if there is no labelled example or only one class, or if lengths differ.

    Reference: Tran, Nguyen and Hassner, Transferability and Hardness of Supervised Classification
      Tasks, ICCV 2019, the section on the estimate (https://arxiv.org/abs/1908.08142).

    Example:
      >>> import numpy as np
      >>> from mtl_jax.transfer import transferability
      >>> labels = np.array([0, 0, 1, 1])
      >>> sources = np.array([2, 2, 5, 5]), np.array([0, 1, 0, 1])  # determine the label or do not
      >>> [round(transferability.nce(z, labels), 3) for z in sources]
      [0.0, -0.693]
    """
    source_labels = to_classes("nce", "source labels", source_labels)
    labels = to_classes("nce", "labels", labels)
    if len(source_labels) != len(labels):
        raise BadInput(f"nce needs labels alike, not {len(source_labels)} and {len(labels)}")
    mask = (source_labels >= 0) & (labels >= 0)
    source_labels, labels = source_labels[mask], labels[mask]
    require_several("nce", labels)
    pairs = np.stack([source_labels, labels])
    _, pair, pair_counts = np.unique(pairs, axis=1, return_inverse=True, return_counts=True)
    _, source, source_counts = np.unique(source_labels, return_inverse=True, return_counts=True)
    return float(np.log(pair_counts[pair.ravel()] / source_counts[source]).mean())
