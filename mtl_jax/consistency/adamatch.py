"""AdaMatch: guesses that follow the labelled images, across two ways to normalise those."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import Alignment
from mtl_jax.consistency.mask import Relative
from mtl_jax.consistency.match import Match, MatchState
from mtl_jax.consistency.window_alignment import WindowAlignment
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.prng import named
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import Apart
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import MULTICLASS

WINDOW = WindowAlignment()
# The labelled images without the unlabelled ones in BatchNorm's batch.
ALONE = Apart(("labelled", "labelled_strong"))


@dataclasses.dataclass(frozen=True)
class AdaMatch:
    """AdaMatch, for unlabelled images of the labelled domain or of another.

    `z = z' + r (z'' - z')` are the logits of the labelled images: z' with the unlabelled ones in
    BatchNorm's batch, z'' in a pass of their own, r uniform in [0, 1) for each logit. Then
    `1/2 (loss(z_weak, y) + loss(z_strong, y))` in the place of the labelled loss, and
    `w(s) 1[max q >= c] H(argmax q, strong)` with q the weak view's guess, aligned, c a share of
    the mean confidence of softmax(z_weak), and `w(s) = 1/2 - 1/2 cos(min(pi, 2 pi s))` for the
    share s of the training that is done.

    Both passes learn. The thresholds and targets have no gradient. All labelled images count in
    alignment and threshold, whether the task's label is there or not. Any leading shape.

    Attributes:
      align: of the guesses; `Alignment("labelled")` has running means on both sides.
      share: of the labelled images' mean confidence.
      weight: of the mean over all U examples, when w is 1.

    Raises:
      BadInput: for a share outside [0, 1], or a negative weight.

    Reference: Berthelot et al., AdaMatch, ICLR 2022, Section 3
      (https://arxiv.org/abs/2106.04732).
    """

    align: WindowAlignment | Alignment = WINDOW
    share: float = 0.9
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("labelled", "labelled_strong", "weak", "strong", ALONE)

    def __post_init__(self):
        require_number(self, share=(0.0, 1.0), weight=(0.0, math.inf))

    @property
    def match(self) -> Match:
        """What is done with the unlabelled images, once the labelled logits are mixed."""
        return Match(align=self.align, mask=Relative(self.share))

    def init(self, sizes: Sizes) -> MatchState:
        """State before the first step."""
        return self.match.init(sizes)

    def update(self, views: Views, state: MatchState) -> tuple[jax.Array, MatchState, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        weak, _ = labelled_logits(views)
        mixed = views._replace(logits={**views.logits, "labelled": weak})
        loss, state, metrics = self.match.update(mixed, state)
        grown = 0.5 - 0.5 * jnp.cos(jnp.minimum(math.pi, 2.0 * math.pi * views.progress))
        return grown.astype(loss.dtype) * loss, state, metrics

    def supervised(self, views: Views, loss: Callable, state: Any) -> jax.Array:
        """Mean `[]` of the loss over both views of the labelled examples."""
        losses = [masked_mean(loss, z, views.labels, views.mask) for z in labelled_logits(views)]
        return 0.5 * sum(losses)


def labelled_logits(views: Views) -> tuple[jax.Array, jax.Array]:
    """Logits of the labelled images between both passes, weak and strong `[B, ..., C]`."""
    joint = jnp.concatenate([views.of("labelled"), views.of("labelled_strong")])
    ratio = jax.random.uniform(named(views.key, "interpolation"), joint.shape, joint.dtype)
    mixed = joint + (views.of(ALONE) - joint) * ratio
    return mixed[: len(views.labels)], mixed[len(views.labels) :]
