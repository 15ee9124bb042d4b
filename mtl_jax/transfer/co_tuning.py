"""Co-Tuning: trains the source's head on the source classes related to each target class."""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import BadInput, require_int, require_number
from mtl_jax.losses import soft_cross_entropy
from mtl_jax.losses.masked import masked_mean
from mtl_jax.transfer.source_head import SourceHead
from mtl_jax.transfer.source_views import student_and_source, views_of
from mtl_jax.transfer.transferability.validation import require_probabilities, select_labelled


class Relationship(NamedTuple):
    """Running statistics of the relationship between source and target classes."""

    # Float32 sums saturate at 2^24 examples of a class; the mean has converged long before.
    sums: jax.Array  # [C, Z], sums of the source's probabilities


@dataclasses.dataclass(frozen=True)
class CoTuning(SourceHead):
    r"""Co-Tuning: trains the source's head on the source classes related to each target class.

    `-sum_s P(s | y) log p(s)`, averaged over the labelled examples, see `co_tuning`. `P(s | t)` is
    the mean of the source's probabilities over the examples of class t so far, including the
    current batch. After one epoch this is the "direct" estimate over all labelled examples, which
    the paper computes before training; later epochs add the same images with new augmentations.
    (The paper's other estimate, by calibrated inversion, is not implemented.) Examples without a
    label are ignored. Requires a run with a source model (`init_from`), whose head for the task SRC
    becomes the head `old` of this task DST by

        param_map=((r"tasks/heads/SRC/(kernel|bias)", r"tasks/heads/DST/old/Dense_0/\1"),)

    in the run's `Initialization`.
    (SRC is `source` if the run starts from a file.) A run without such a rule is rejected. TLLib
    trains that head with the trunk's learning rate, a tenth of that of the task's own head:
    `ParamRule(".*/old/.*", lr_scale=0.1)` in `param_rules`. Gradients with respect to the old head
    and the trunk, none with respect to the source or P.

    Attributes:
      classes: number of classes of the source's task, Z, at least 2.
      weight: weight of the mean.

    Raises:
      BadInput: if a setting is out of range.

    Reference: You et al., Co-Tuning for Transfer Learning, NeurIPS 2020, the sections on the
      overall framework and on learning the category relationship, direct approach
      (https://papers.nips.cc/paper/2020/hash/c8067ad1937f728f51288b3eb986afaa-Abstract.html).

    Example:
      >>> from mtl_jax import transfer
      >>> transfer.CoTuning(classes=1000).aux_heads(num_classes=10)  # the head of the source
      {'old': AuxHead(outputs=1000, hidden=0)}
    """

    weight: float = 2.3

    target_types = MULTICLASS
    views = views_of("labelled")

    def __post_init__(self):
        require_int(self, classes=2)
        require_number(self, weight=(0.0, math.inf))

    def init(self, sizes: DatasetSizes) -> Relationship:
        """Returns the initial state, without any examples."""
        return Relationship(jnp.zeros((sizes.num_classes, self.classes), float))

    def update(self, views: AuxInputs, state: Relationship) -> AuxUpdate:
        """Maps views to the mean over the labelled examples `[1]`, next state, and no metrics."""
        logits, source_logits = student_and_source(views.heads["old"], "labelled")
        state = update_sums(state, source_logits, views.labels, views.mask)
        # A class without examples so far has a row of zeros, which no example uses.
        totals = state.sums.sum(1, keepdims=True)
        relationship = state.sums / jnp.where(totals > 0, totals, 1.0)
        loss = functools.partial(co_tuning, relationship=relationship)
        return AuxUpdate(masked_mean(loss, logits, views.labels, views.mask)[None], state, {})


def class_relationship(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Estimates the category relationship, `P(s | t) = mean_{i: y_i = t} p_i(s)`.

    The "direct" estimate; computed once, before training, in float64.

    Args:
      probabilities: probabilities of the source classes, from the source model, `[N, Z]`.
      labels: target classes `[N]`; examples without a label (-1) are ignored.

    Returns:
      `[C, Z]`, where C is the largest label plus one; each row sums to 1.

    Raises:
      BadInput: if there is no labelled example or only one class, if lengths differ, if rows are
        not probabilities, or if a class below the largest has no example.

    Reference: You et al., Co-Tuning for Transfer Learning, NeurIPS 2020, the section on learning
      the category relationship, direct approach
      (https://papers.nips.cc/paper/2020/hash/c8067ad1937f728f51288b3eb986afaa-Abstract.html).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import transfer
      >>> probabilities = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
      >>> transfer.class_relationship(probabilities, np.array([0, 0, 1])).tolist()
      [[0.75, 0.25], [0.0, 1.0]]
    """
    name = "class_relationship"
    probabilities, labels = select_labelled(name, probabilities, labels)
    require_probabilities(name, probabilities)
    sums = np.zeros((labels.max() + 1, probabilities.shape[1]))
    np.add.at(sums, labels, probabilities)
    counts = sums.sum(1, keepdims=True)
    if not counts.all():
        raise BadInput(f"{name} needs an example of every class, none of {counts.argmin()}")
    return sums / counts


def co_tuning(logits: jax.Array, labels: jax.Array, relationship: jax.Array) -> jax.Array:
    """Cross-entropy of the source head with related source classes, `-sum_s P(s | y) log p(s)`.

    Natural logarithm. It is added to the target head's own loss, weighted by 2.3 in the paper's
    code. No gradient with respect to `relationship`. A label outside 0..C-1 gives NaN, so a caller
    with missing labels (-1) replaces them by any class and masks the loss.

    Args:
      logits: logits of the source head on target examples, floats `[..., Z]`.
      labels: target classes, integers `[...]`.
      relationship: P(s | t), `[C, Z]`, as from `class_relationship`.

    Returns:
      The loss `[...]`, of the dtype of `logits`.

    Raises:
      ValueError: if shapes do not match (when traced).

    Reference: You et al., Co-Tuning for Transfer Learning, NeurIPS 2020, the section on the
      overall framework
      (https://papers.nips.cc/paper/2020/hash/c8067ad1937f728f51288b3eb986afaa-Abstract.html).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> relationship = jnp.array([[0.75, 0.25], [0.0, 1.0]])
      >>> logits, labels = jnp.array([[8.0, -8.0], [8.0, -8.0]]), jnp.array([0, 1])
      >>> [round(loss, 3) for loss in transfer.co_tuning(logits, labels, relationship).tolist()]
      [4.0, 16.0]
    """
    relationship = jax.lax.stop_gradient(jnp.asarray(relationship).astype(logits.dtype))
    if logits.shape != (*labels.shape, *relationship.shape[1:]) or relationship.ndim != 2:
        raise ValueError(
            f"co_tuning needs logits [..., Z], labels [...] and relationship [C, Z], "
            f"not {logits.shape}, {labels.shape} and {relationship.shape}"
        )
    is_valid = (labels >= 0) & (labels < len(relationship))
    targets = relationship[jnp.where(is_valid, labels, 0)]
    return jnp.where(is_valid, soft_cross_entropy(logits, targets), jnp.nan)


def update_sums(
    state: Relationship, logits: jax.Array, labels: jax.Array, mask: jax.Array
) -> Relationship:
    """Adds the source's probabilities, from logits `[B, Z]`, to the sums of their labels `[B]`."""
    classes = jnp.arange(len(state.sums), dtype=jnp.int32)
    one_hot = (labels.astype(jnp.int32)[:, None] == classes[None]) & mask[:, None]
    probabilities = jax.nn.softmax(jax.lax.stop_gradient(logits).astype(state.sums.dtype))
    sums = jnp.matmul(one_hot.astype(probabilities.dtype).T, probabilities, precision="highest")
    return Relationship(jax.lax.stop_gradient(state.sums) + sums)
