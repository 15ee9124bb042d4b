"""ShrinkMatch: an unsure prediction becomes confident in a smaller space of classes."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import QueueAlignment
from mtl_jax.consistency.parts import Align
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import ema_update
from mtl_jax.core.validation import require_number
from mtl_jax.losses import soft_cross_entropy

# Default alignment of predictions.
ALIGN = QueueAlignment(32)


class ShrinkState(NamedTuple):
    """State of the method; the running fraction starts from the first batch."""

    align: Any
    sure: jax.Array  # [], running fraction of confident examples
    begun: jax.Array  # [], whether there was a batch


@dataclasses.dataclass(frozen=True)
class ShrinkMatch(AuxiliaryLoss):
    """FixMatch with soft targets for confident examples, and a shrunk class space for the others.

    With the aligned prediction q sorted as `q_1 >= q_2 >= ...`, a confident example
    (`q_1 >= threshold`) has the loss `H(q, strong)`. For any other, ranks 2 to r - 1 are removed,
    with the smallest r from 3 to C for which
    `q_1 / (q_1 + sum over ranks k >= r of q_k) >= threshold`. Its loss is
    `rate q_1 H(class 1, shrunk)`, where shrunk is the softmax over the kept classes of a separate
    head for the strong view, and rate a running mean of the fraction of confident examples, the
    current batch included. If not even r = C suffices, or there are only two classes, it is 0.

    Gradients with respect to the strong view only. Outputs `[n, C]`. (The authors' head has
    BatchNorm, leaky ReLU and a quarter of the features' width; an `AuxHead` here has hidden layers
    as wide as the features. Their code for CIFAR restarts the running mean in every epoch, that
    for STL-10 does not; here it continues.)

    Attributes:
      threshold: probability from which a prediction is confident.
      momentum: decay of the running mean.
      shrunk: weight of the loss of the examples that are not confident.
      align: of the predictions; `QueueAlignment`, or `NoAlignment` for the authors' plain variant.
      weight: of both losses.

    Raises:
      BadInput: for a setting out of range.

    Reference: Yang et al., Shrinking Class Space for Enhanced Certainty in Semi-Supervised
      Learning, ICCV 2023, Section 3 (https://arxiv.org/abs/2308.06777).
    """

    threshold: float = 0.95
    momentum: float = 0.999
    shrunk: float = 1.0
    align: Align = ALIGN
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("weak", "strong")

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), momentum=(0.0, 1.0))
        require_number(self, shrunk=(0.0, math.inf), weight=(0.0, math.inf))

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """A second classification head, for the shrunk spaces."""
        return {"shrunk": AuxHead(num_classes, hidden=2)}

    def init(self, sizes: DatasetSizes) -> ShrinkState:
        """Returns the initial state."""
        return ShrinkState(self.align.init(sizes), jnp.zeros((), float), jnp.zeros((), bool))

    def update(self, views: AuxInputs, state: ShrinkState) -> tuple[jax.Array, ShrinkState, dict]:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        state = jax.lax.stop_gradient(state)
        plain = jax.nn.log_softmax(jax.lax.stop_gradient(views.outputs("weak")))
        aligned, align = self.align.update(plain, views, state.align)
        guess = jnp.exp(aligned)
        confidence = guess.max(-1)
        mask = confidence >= self.threshold
        certain = jnp.where(mask, soft_cross_entropy(views.outputs("strong"), guess), 0.0)
        share = mask.astype(state.sure.dtype).mean()
        rate = ema_update(jnp.where(state.begun, state.sure, share), share, self.momentum)
        kept, enough = shrunk_space(guess, self.threshold)
        counts = enough & ~mask
        weights = rate.astype(guess.dtype) * confidence
        other = top_among(views.outputs("strong", "shrunk"), guess, kept)
        loss = certain + self.shrunk * jnp.where(counts, weights * other, 0.0)
        metrics = {"mask_rate": share, "shrunk_rate": counts.astype(share.dtype).mean()}
        return loss, ShrinkState(align, rate, jnp.ones((), bool)), metrics


def shrunk_space(guess: jax.Array, threshold: float) -> tuple[jax.Array, jax.Array]:
    """The classes that an example keeps so that its first is confident, and whether it is.

    Args:
      guess: probabilities `[n, C]`.
      threshold: of the first class' fraction of the kept probability.

    Returns:
      Kept classes, bool `[n, C]`, and whether the threshold is reached, bool `[n]`.
    """
    classes = guess.shape[-1]
    order = jnp.argsort(-guess, axis=-1, stable=True)
    rank = jnp.argsort(order, axis=-1)
    down = jnp.take_along_axis(guess, order, -1)
    # From the last class on, so that small values are not lost in large ones.
    rest = jnp.cumsum(down[:, ::-1], axis=-1)[:, ::-1]
    reached = down[:, :1] / (down[:, :1] + rest[:, 2:]) >= threshold
    # The fraction grows with the number of removed classes; this is the first to reach it.
    first = 2 + (~reached).sum(-1, dtype=jnp.int32)
    kept = (rank == 0) | (rank >= jnp.minimum(first, classes - 1)[:, None])
    return kept, reached.any(-1)


def top_among(logits: jax.Array, guess: jax.Array, kept: jax.Array) -> jax.Array:
    """Cross-entropy `[n]` of the predicted class, with the softmax over the kept classes only."""
    top = jax.nn.one_hot(guess.argmax(-1), guess.shape[-1], dtype=bool)
    chosen = jnp.where(top, logits, 0.0).sum(-1)
    return jax.nn.logsumexp(jnp.where(kept, logits, -jnp.inf), -1) - chosen
