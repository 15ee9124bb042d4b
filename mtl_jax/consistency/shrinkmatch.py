"""ShrinkMatch: an uncertain prediction becomes confident in a smaller space of classes."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import QueueAlignment
from mtl_jax.consistency.parts import Align
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree, ema_update
from mtl_jax.core.validation import require_number
from mtl_jax.losses import soft_cross_entropy

# Default alignment of predictions.
ALIGN = QueueAlignment(32)


class ShrinkState(NamedTuple):
    """State of the method; the running fraction starts from the first batch."""

    align: Tree
    confident_rate: jax.Array  # [], running fraction of confident examples
    initialized: jax.Array  # [], whether there was a batch


@dataclasses.dataclass(frozen=True)
class ShrinkMatch(AuxiliaryLoss):
    """FixMatch with soft targets for confident examples, and a shrunk class space for the others.

    With the aligned prediction q sorted as `q_1 >= q_2 >= ...`, a confident example
    (`q_1 >= threshold`) has the loss `H(q, strong)`. For any other, ranks 2 to r - 1 are removed,
    with the smallest r from 3 to C for which
    `q_1 / (q_1 + sum over ranks k >= r of q_k) >= threshold`. Its loss is
    `rate q_1 H(class 1, shrunk)`, where shrunk is the softmax over the remaining classes of a
    separate head for the strong view, and rate a running mean of the fraction of confident
    examples, the current batch included. If not even r = C suffices, or there are only two
    classes, it is 0.

    Gradients with respect to the strong view only. Outputs `[n, C]`. (The authors' head has
    BatchNorm, leaky ReLU and a quarter of the features' width; an `AuxHead` here has hidden layers
    as wide as the features. Their code for CIFAR restarts the running mean in every epoch, that
    for STL-10 does not; here it continues.)

    Attributes:
      threshold: probability from which a prediction is confident.
      momentum: decay of the running mean.
      shrunk_weight: weight of the loss of the examples that are not confident.
      align: of the predictions; `QueueAlignment`, or `NoAlignment` for the authors' plain variant.
      weight: of both losses.

    Raises:
      BadInput: for a setting out of range.

    Reference: Yang et al., Shrinking Class Space for Enhanced Certainty in Semi-Supervised
      Learning, ICCV 2023, Section 3 (https://arxiv.org/abs/2308.06777).

    Example:
      >>> from mtl_jax import consistency
      >>> method = consistency.ShrinkMatch(align=consistency.NoAlignment(), shrunk_weight=0.5)
      >>> method.aux_heads(10)
      {'shrunk': AuxHead(outputs=10, hidden=2)}
    """

    threshold: float = 0.95
    momentum: float = 0.999
    shrunk_weight: float = 1.0
    align: Align = ALIGN
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("weak", "strong")

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), momentum=(0.0, 1.0))
        require_number(self, shrunk_weight=(0.0, math.inf), weight=(0.0, math.inf))

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """A second classification head, for the shrunk spaces."""
        return {"shrunk": AuxHead(num_classes, hidden=2)}

    def init(self, sizes: DatasetSizes) -> ShrinkState:
        """Returns the initial state."""
        return ShrinkState(self.align.init(sizes), jnp.zeros((), float), jnp.zeros((), bool))

    def update(self, views: AuxInputs, state: ShrinkState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        state = jax.lax.stop_gradient(state)
        log_probs = jax.nn.log_softmax(jax.lax.stop_gradient(views.outputs("weak")))
        aligned, align = self.align.update(log_probs, views, state.align)
        probs = jnp.exp(aligned)
        confidence = probs.max(-1)
        mask = confidence >= self.threshold
        confident_loss = jnp.where(mask, soft_cross_entropy(views.outputs("strong"), probs), 0.0)
        batch_rate = mask.astype(state.confident_rate.dtype).mean()
        rate = jnp.where(state.initialized, state.confident_rate, batch_rate)
        rate = ema_update(rate, batch_rate, self.momentum)
        class_mask, reached = shrink_classes(probs, self.threshold)
        shrunk = reached & ~mask
        weights = rate.astype(probs.dtype) * confidence
        losses = masked_cross_entropy(views.outputs("strong", "shrunk"), probs, class_mask)
        loss = confident_loss + self.shrunk_weight * jnp.where(shrunk, weights * losses, 0.0)
        metrics = {"mask_rate": batch_rate, "shrunk_rate": shrunk.astype(batch_rate.dtype).mean()}
        return AuxUpdate(loss, ShrinkState(align, rate, jnp.ones((), bool)), metrics)


def shrink_classes(probs: jax.Array, threshold: float) -> tuple[jax.Array, jax.Array]:
    """Removes classes of each example until the most probable one reaches a threshold.

    Args:
      probs: probabilities `[n, C]`.
      threshold: of the most probable class' fraction of the remaining probability.

    Returns:
      The remaining classes, bool `[n, C]`, and whether the threshold is reached, bool `[n]`.
    """
    classes = probs.shape[-1]
    order = jnp.argsort(-probs, axis=-1, stable=True)
    rank = jnp.argsort(order, axis=-1)
    descending = jnp.take_along_axis(probs, order, -1)
    # From the last class on, so that small values are not lost in large ones.
    tail = jnp.cumsum(descending[:, ::-1], axis=-1)[:, ::-1]
    reached = descending[:, :1] / (descending[:, :1] + tail[:, 2:]) >= threshold
    # The fraction grows with the number of removed classes; this is the first to reach it.
    cut = 2 + (~reached).sum(-1, dtype=jnp.int32)
    class_mask = (rank == 0) | (rank >= jnp.minimum(cut, classes - 1)[:, None])
    return class_mask, reached.any(-1)


def masked_cross_entropy(logits: jax.Array, probs: jax.Array, mask: jax.Array) -> jax.Array:
    """Cross-entropy `[n]` of the predicted class, with the softmax over the classes in the mask."""
    predicted = jax.nn.one_hot(probs.argmax(-1), probs.shape[-1], dtype=bool)
    logit = jnp.where(predicted, logits, 0.0).sum(-1)
    return jax.nn.logsumexp(jnp.where(mask, logits, -jnp.inf), -1) - logit
