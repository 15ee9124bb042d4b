"""ShrinkMatch: an unsure guess becomes sure once the classes that it confuses are left out."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import QueueAlignment
from mtl_jax.consistency.parts import Align
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Head
from mtl_jax.core.tree import average
from mtl_jax.core.validation import require_number
from mtl_jax.losses import soft_cross_entropy
from mtl_jax.losses.target_type import MULTICLASS

# What aligns guesses unless told otherwise.
ALIGN = QueueAlignment(32)


class ShrinkState(NamedTuple):
    """What is kept; the running share begins with the first batch."""

    align: Any
    sure: jax.Array  # [], running share of sure examples
    begun: jax.Array  # [], whether there was a batch


@dataclasses.dataclass(frozen=True)
class ShrinkMatch:
    """FixMatch with soft targets for sure examples, and a smaller space of classes for the others.

    With the aligned guess q sorted as `q_1 >= q_2 >= ...`, a sure example (`q_1 >= threshold`)
    has the loss `H(q, strong)`. For any other, ranks 2 to r - 1 are left out, with the least
    r from 3 to C for which `q_1 / (q_1 + sum over ranks k >= r of q_k) >= threshold`. Its loss
    is `rate q_1 H(class 1, shrunk)`, where shrunk is the softmax over the kept classes of a head
    of its own for the strong view, and rate a running mean of the share of sure examples, this
    batch included. Where not even r = C is enough, or there are two classes only, it is 0.

    Gradients flow into the strong view only. Outputs `[n, C]`. (The authors' head has BatchNorm,
    leaky ReLU and a quarter of the features' width; a `Head` here has hidden layers as wide as
    the features. Their code for CIFAR begins the running mean anew in every epoch, that for
    STL-10 does not; here it goes on.)

    Attributes:
      threshold: confidence at which a guess is sure.
      momentum: share of the running mean that is kept.
      shrunk: weight of the loss of the examples that are not sure.
      align: of the guesses; `QueueAlignment`, or `Unaligned` for the authors' plain variant.
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

    def heads(self, num_classes: int) -> dict[str, Head]:
        """The classes once more, for the smaller spaces."""
        return {"shrunk": Head(num_classes, hidden=2)}

    def init(self, sizes: Sizes) -> ShrinkState:
        """State before the first step."""
        return ShrinkState(self.align.init(sizes), jnp.zeros((), float), jnp.zeros((), bool))

    def update(self, views: Views, state: ShrinkState) -> tuple[jax.Array, ShrinkState, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        state = jax.lax.stop_gradient(state)
        plain = jax.nn.log_softmax(jax.lax.stop_gradient(views.of("weak")))
        aligned, align = self.align.update(plain, views, state.align)
        guess = jnp.exp(aligned)
        confidence = guess.max(-1)
        mask = confidence >= self.threshold
        certain = jnp.where(mask, soft_cross_entropy(views.of("strong"), guess), 0.0)
        share = mask.astype(state.sure.dtype).mean()
        rate = average(jnp.where(state.begun, state.sure, share), share, self.momentum)
        kept, enough = shrunk_space(guess, self.threshold)
        counts = enough & ~mask
        weights = rate.astype(guess.dtype) * confidence
        other = top_among(views.of("strong", "shrunk"), guess, kept)
        loss = certain + self.shrunk * jnp.where(counts, weights * other, 0.0)
        metrics = {"mask_rate": share, "shrunk_rate": counts.astype(share.dtype).mean()}
        return loss, ShrinkState(align, rate, jnp.ones((), bool)), metrics


def shrunk_space(guess: jax.Array, threshold: float) -> tuple[jax.Array, jax.Array]:
    """The classes that an example keeps so that its first is sure, and whether that succeeded.

    Args:
      guess: probabilities `[n, C]`.
      threshold: of the first class' share in what is kept.

    Returns:
      Kept classes, bool `[n, C]`, and whether the threshold is reached, bool `[n]`.
    """
    classes = guess.shape[-1]
    order = jnp.argsort(-guess, axis=-1, stable=True)
    rank = jnp.argsort(order, axis=-1)
    down = jnp.take_along_axis(guess, order, -1)
    # From the last class on, so that the small ones are not lost in the large ones.
    rest = jnp.cumsum(down[:, ::-1], axis=-1)[:, ::-1]
    reached = down[:, :1] / (down[:, :1] + rest[:, 2:]) >= threshold
    # The shares grow with the number of classes left out, so the first that reaches it is there.
    first = 2 + (~reached).sum(-1, dtype=jnp.int32)
    kept = (rank == 0) | (rank >= jnp.minimum(first, classes - 1)[:, None])
    return kept, reached.any(-1)


def top_among(logits: jax.Array, guess: jax.Array, kept: jax.Array) -> jax.Array:
    """Cross-entropy `[n]` of the guessed class, in the softmax over the kept classes alone."""
    top = jax.nn.one_hot(guess.argmax(-1), guess.shape[-1], dtype=bool)
    chosen = jnp.where(top, logits, 0.0).sum(-1)
    return jax.nn.logsumexp(jnp.where(kept, logits, -jnp.inf), -1) - chosen
