"""Co-Tuning: let the source's head learn the source classes that each target class resembles."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.losses import soft_cross_entropy
from mtl_jax.transfer.transferability.validation import labelled, require_probabilities


def class_relationship(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What source classes a target class looks like, `P(s | t) = mean_{i: y_i = t} p_i(s)`.

    The "direct" estimate; computed once, before training, in float64.

    Args:
      probabilities: of the source classes, from the source net `[N, Z]`.
      labels: target classes `[N]`; examples without a label (-1) are left out.

    Returns:
      `[C, Z]`, C the largest label and one; each row sums to 1.

    Raises:
      BadInput: for no labelled example, one class, lengths that differ, what is no probability,
        or a class below the largest that has no example.

    Reference: You et al., Co-Tuning for Transfer Learning, NeurIPS 2020, the section on learning
      the category relationship, direct approach
      (https://papers.nips.cc/paper/2020/hash/c8067ad1937f728f51288b3eb986afaa-Abstract.html).
    """
    name = "class_relationship"
    probabilities, labels = labelled(name, probabilities, labels)
    require_probabilities(name, probabilities)
    sums = np.zeros((labels.max() + 1, probabilities.shape[1]))
    np.add.at(sums, labels, probabilities)
    counts = sums.sum(1, keepdims=True)
    if not counts.all():
        raise BadInput(f"{name} needs an example of every class, none of {counts.argmin()}")
    return sums / counts


def co_tuning(logits: jax.Array, labels: jax.Array, relationship: jax.Array) -> jax.Array:
    """Cross-entropy of the source head with what the label resembles, `-sum_s P(s | y) log p(s)`.

    Natural logarithm. It is added to the target head's own loss, weighted by 2.3 in the paper's
    code. Nothing flows into `relationship`. A label outside 0..C-1 gives NaN, so a caller with
    missing labels (-1) puts any class in their place and masks the loss.

    Args:
      logits: of the source head on target examples, floats `[..., Z]`.
      labels: target classes, whole numbers `[...]`.
      relationship: P(s | t), `[C, Z]`, as from `class_relationship`.

    Returns:
      The loss `[...]`, of the dtype of `logits`.

    Raises:
      ValueError: if shapes do not fit, when traced.

    Reference: You et al., Co-Tuning for Transfer Learning, NeurIPS 2020, the section on the
      overall framework
      (https://papers.nips.cc/paper/2020/hash/c8067ad1937f728f51288b3eb986afaa-Abstract.html).
    """
    relationship = jax.lax.stop_gradient(jnp.asarray(relationship).astype(logits.dtype))
    if logits.shape != (*labels.shape, *relationship.shape[1:]) or relationship.ndim != 2:
        raise ValueError(
            f"co_tuning needs logits [..., Z], labels [...] and relationship [C, Z], "
            f"not {logits.shape}, {labels.shape} and {relationship.shape}"
        )
    known = (labels >= 0) & (labels < len(relationship))
    targets = relationship[jnp.where(known, labels, 0)]
    return jnp.where(known, soft_cross_entropy(logits, targets), jnp.nan)
