"""MultiMatch: three heads, of which two choose and weigh the labels of the third."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.parts import Mask
from mtl_jax.consistency.prediction import Guess
from mtl_jax.consistency.pseudo_margin import Margins, moved, no_margins, percentiles
from mtl_jax.consistency.self_adaptive import SelfAdaptive
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Head
from mtl_jax.core.validation import require_count, require_number
from mtl_jax.core.views import View
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import MULTICLASS

# The task's own head and two more, and for each the other two.
HEADS = (None, "second", "third")
OTHERS = ((1, 2), (0, 2), (0, 1))
# What masks the guess of a head unless told otherwise.
MASK = SelfAdaptive()


class MultiMatchState(NamedTuple):
    """What is kept of the three heads."""

    masks: tuple
    margins: Margins
    cutoff: jax.Array  # [3, C], for the labels that each head is given
    epoch: jax.Array  # [], that of the last step


@dataclasses.dataclass(frozen=True)
class MultiMatch:
    """Co-training of three heads with averaged margins.

    Each head learns from the other two, i and j, on the strong view: the loss of an example is
    `1/3 sum_h w_h H(label_h, strong_h)`. Head i passes if the running margin of its guess (see
    `pseudo_margin`) reaches the cut-off of that class. If both pass and agree, the example is
    easy: w is 1. If one of them alone passes, it is hard: the label is that head's, and w is
    `hard`. In all other cases, and where neither guess is in its head's mask, w is 0.

    The training has `epochs` parts of one length, t = 0, 1, ...; the share of a new margin is
    `smoothness / (1 + t)`. At the beginning of each the cut-offs are taken anew: the `share`
    quantile, at least `least`, of the margins of the examples on which i and j agreed last.
    Before the first time, nothing unlabelled counts. Labelled examples teach all three heads,
    by the sum of their losses.

    Gradients flow into the strong views and the labelled one. Outputs `[n, C]`, C at least 2.
    (The authors' code stops taking cut-offs at the first class without an agreed example, so
    later classes keep old ones, and it moves the mask's running means twice a step; here it is
    all classes, and once. It evaluates the mean of the three heads' logits; a run here
    evaluates the task's own.)

    Attributes:
      hard: weight of the hard examples.
      share: of the agreed examples' margins that lies below a cut-off.
      least: of a cut-off; None leaves it free, as some of the authors' runs do.
      smoothness: share of a new margin in the first part of the training.
      epochs: parts of the training.
      mask: of each head's own guesses.
      weight: of the unlabelled loss.

    Raises:
      BadInput: for a setting out of range.

    Reference: Sirbu et al., MultiMatch, EMNLP 2025, pseudo-label weighting module
      (https://arxiv.org/abs/2506.07801); margins: Sosea and Caragea, MarginMatch, CVPR 2023.
    """

    hard: float = 3.0
    share: float = 0.05
    least: float | None = 0.0
    smoothness: float = 0.997
    epochs: int = 100
    mask: Mask = MASK
    weight: float = 3.0

    target_types = MULTICLASS
    views = ("labelled", "weak", "strong")

    def __post_init__(self):
        require_number(self, hard=(0.0, math.inf), weight=(0.0, math.inf))
        require_number(self, share=(0.0, 1.0), smoothness=(0.0, 1.0))
        require_count(self, epochs=1)
        if self.least is not None:
            require_number(self, least=(-math.inf, math.inf))

    def heads(self, num_classes: int) -> dict[str, Head]:
        """Two more of the classes."""
        return {name: Head(num_classes) for name in HEADS[1:]}

    def init(self, sizes: Sizes) -> MultiMatchState:
        """State before the first step."""
        return MultiMatchState(
            tuple(self.mask.init(sizes) for _ in HEADS),
            no_margins(len(HEADS), sizes.unlabelled, sizes.classes),
            jnp.zeros((len(HEADS), sizes.classes), float),
            jnp.zeros((), jnp.int32),
        )

    def supervised(self, views: Views, loss: Callable, state: Any) -> jax.Array:
        """Sum `[]` of the three heads' mean losses over the labelled examples."""
        each = each_head(views, "labelled")
        return sum(masked_mean(loss, logits, views.labels, views.mask) for logits in each)

    def update(
        self, views: Views, state: MultiMatchState
    ) -> tuple[jax.Array, MultiMatchState, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        state = jax.lax.stop_gradient(state)
        weak = jax.lax.stop_gradient(jnp.stack(each_head(views, "weak")))
        epoch = jnp.floor(views.progress * self.epochs).astype(jnp.int32)
        cutoff = self.calibrated(state, epoch > state.epoch)
        rate = self.smoothness / (1.0 + epoch.astype(cutoff.dtype))
        margins = moved(state.margins, weak, views.index, rate)
        masked, masks = self.masked(weak, views, state.masks)
        labels = weak.argmax(-1)
        own = jnp.take_along_axis(margins.mean[:, views.index], labels[..., None], -1)[..., 0]
        told = [taught(labels, own, masked, cutoff, head) for head in range(len(HEADS))]
        losses, hits, hards = [], [], []
        for logits, (label, easy, hard) in zip(each_head(views, "strong"), told, strict=True):
            weights = self.hard * hard.astype(logits.dtype) + easy.astype(logits.dtype)
            weights = jnp.where(epoch > 0, weights, 0.0)
            losses.append(jnp.where(weights > 0, weights * cross_entropy(logits, label), 0.0))
            hits.append(weights > 0)
            hards.append(hard & (epoch > 0))
        rates = (jnp.stack(rows).astype(weak.dtype).mean() for rows in (hits, hards))
        metrics = dict(zip(("mask_rate", "hard_rate"), rates, strict=True))
        return sum(losses) / len(HEADS), MultiMatchState(masks, margins, cutoff, epoch), metrics

    def calibrated(self, state: MultiMatchState, now: jax.Array) -> jax.Array:
        """The cut-offs `[3, C]`, taken anew if it is time.

        A loop of one turn or none: under vmap a `cond` sorts all margins at every step, for
        seeds side by side, while a loop that no seed enters costs nothing.
        """
        none = jnp.zeros_like(now)

        def turn(carry):
            # Tied to the turn, or the compiler takes the same work out of the loop.
            margins, _ = jax.lax.optimization_barrier((state.margins, carry))
            return none, self.cutoffs(margins).astype(carry[1].dtype)

        return jax.lax.while_loop(lambda carry: carry[0], turn, (now, state.cutoff))[1]

    def cutoffs(self, margins: Margins) -> jax.Array:
        """Cut-offs `[3, C]` for the labels of each head, by what the other two said."""
        found = jnp.stack([percentiles(margins, *others, self.share) for others in OTHERS])
        return found if self.least is None else jnp.maximum(found, self.least)

    def masked(self, weak: jax.Array, views: Views, states: tuple) -> tuple[jax.Array, tuple]:
        """Whether each head's guess is in its mask, bool `[3, U]`, and the next states."""
        plain = jax.nn.log_softmax(weak)
        found = [
            self.mask.update(Guess(own, own), views, state)
            for own, state in zip(plain, states, strict=True)
        ]
        hits = jnp.stack([weights.astype(bool) for weights, *_ in found])
        return hits, tuple(state for _, state, _ in found)


def taught(
    labels: jax.Array, own: jax.Array, masked: jax.Array, cutoff: jax.Array, head: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What the other two tell a head.

    Args:
      labels: guesses of all heads, `[3, U]`.
      own: running margins of those classes, `[3, U]`.
      masked: whether they are in their masks, `[3, U]`.
      cutoff: `[3, C]`.
      head: who is told.

    Returns:
      Labels, and whether they are easy and whether they are hard, `[U]` each.
    """
    one, other = OTHERS[head]
    first, second = (own[place] >= cutoff[head][labels[place]] for place in (one, other))
    known = masked[one] | masked[other]
    easy = known & first & second & (labels[one] == labels[other])
    return jnp.where(first, labels[one], labels[other]), easy, known & (first ^ second)


def each_head(views: Views, view: View) -> list[jax.Array]:
    """Logits `[n, C]` of the three heads for a view."""
    return [views.of(view, name) for name in HEADS]
