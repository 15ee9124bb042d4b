"""ReFixMatch: guesses that are too unsure to be labels are followed as probabilities."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.mask import Threshold
from mtl_jax.consistency.match import UNALIGNED, Match, MatchState, by_example
from mtl_jax.consistency.parts import Align, Mask
from mtl_jax.consistency.target import Hard, Soft
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.losses import kl_divergence, soft_cross_entropy
from mtl_jax.losses.target_type import MULTICLASS

CONFIDENT = Threshold()


@dataclasses.dataclass(frozen=True)
class ReFixMatch:
    """FixMatch that throws no unlabelled example away.

    `m H(argmax q, s) + (1 - m) KL(q^(1/T) / sum_c q_c^(1/T) || s)` per example: the strong view
    s learns sure guesses on the weak view as labels and the others as sharpened probabilities.
    The mask m looks at the guess before it is sharpened. No gradient flows into the weak view.
    Any leading shape that the mask takes. (USB takes the softmax of probabilities, which
    flattens the targets, and divides the strong logits by T too; here neither is done.)

    Attributes:
      align: how the guesses are aligned, as of `Match`.
      mask: which of them are sure, as of `Match`.
      temperature: T.
      weight: of the mean over all U examples.

    Raises:
      BadInput: for a temperature that is not above 0, or a negative weight.

    Reference: Nguyen and Yang, Boosting Semi-Supervised Learning by Bridging High and
      Low-Confidence Predictions, ICCV workshops 2023, method (https://arxiv.org/abs/2308.07509).
    """

    align: Align = UNALIGNED
    mask: Mask = CONFIDENT
    temperature: float = 0.5
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("weak", "strong")

    def __post_init__(self):
        require_number(self, temperature=(1e-6, math.inf), weight=(0.0, math.inf))

    @property
    def match(self) -> Match:
        """How the weak view is guessed about."""
        return Match(align=self.align, mask=self.mask)

    def init(self, sizes: Sizes) -> MatchState:
        """State before the first step: that of its parts."""
        return self.match.init(sizes)

    def update(self, views: Views, state: MatchState) -> tuple[jax.Array, MatchState, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        state = jax.lax.stop_gradient(state)
        guess, align = self.match.guess(views, state)
        weights, mask, metrics = self.mask.update(guess, views, state.mask)
        strong = views.of("strong")
        sure = soft_cross_entropy(strong, Hard()(guess))
        unsure = kl_divergence(strong, Soft(self.temperature)(guess))
        weights = weights.astype(strong.dtype)
        loss = jnp.where(weights > 0, weights * sure, 0.0) + (1.0 - weights) * unsure
        metrics = {"mask_rate": weights.mean(), **metrics}
        return by_example(loss), MatchState(align, mask, ()), metrics
