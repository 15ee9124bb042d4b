"""SequenceMatch: a view of medium strength stands between the weak and the strong one."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.curriculum_threshold import ClassStatus
from mtl_jax.consistency.match import UNALIGNED, Match, MatchState, by_example
from mtl_jax.consistency.parts import Align, Mask
from mtl_jax.consistency.prediction import Guess
from mtl_jax.consistency.target import Hard, Soft
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.losses import kl_divergence, soft_cross_entropy
from mtl_jax.losses.target_type import MULTICLASS

CURRICULUM = ClassStatus()


@dataclasses.dataclass(frozen=True)
class SequenceMatch:
    """Each view follows the guess of a weaker one, from weak over medium to strong.

    `m (H(argmax q_w, s) + KL(q_w || m) + KL(q_m || s) + KL(q_w || s)) + (1 - m) u KL(q_w || s)`
    per example, where q_w and q_m are the sharpened guesses on the weak and on the medium view,
    and the mask m is of the guess on the weak view before it is sharpened. No gradient flows
    into the weak view, nor into q_m. Any leading shape that the mask takes; `ClassStatus` takes
    `[U, C]`.

    The paper's abstract has a constraint of its own for guesses that are not sure; the authors'
    code has it as an option, and USB leaves it out (`unsure=0`). USB takes the softmax of
    probabilities in all three divergences; here guesses are sharpened as such. In the authors'
    code each divergence has a fixed threshold on its own source; here all have one mask.

    Attributes:
      align: how the guesses on the weak view are aligned, as of `Match`.
      mask: which of them are sure, as of `Match`.
      temperature: of the sharpening.
      unsure: u, weight of the divergence for guesses outside of the mask.
      weight: of the mean over all U examples.

    Raises:
      BadInput: for a temperature that is not above 0, or a negative weight.

    Reference: Nguyen, SequenceMatch, WACV 2024, method (https://arxiv.org/abs/2310.15787).
    """

    align: Align = UNALIGNED
    mask: Mask = CURRICULUM
    temperature: float = 0.5
    unsure: float = 1.0
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("weak", "medium", "strong")

    def __post_init__(self):
        require_number(
            self, temperature=(1e-6, math.inf), unsure=(0.0, math.inf), weight=(0.0, math.inf)
        )

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
        medium, strong = views.of("medium"), views.of("strong")
        between = jax.nn.log_softmax(jax.lax.stop_gradient(medium))
        sharpened = Soft(self.temperature)
        direct = kl_divergence(strong, sharpened(guess))
        sure = soft_cross_entropy(strong, Hard()(guess)) + direct
        sure += kl_divergence(medium, sharpened(guess))
        sure += kl_divergence(strong, sharpened(Guess(between, between)))
        weights = weights.astype(strong.dtype)
        loss = jnp.where(weights > 0, weights * sure, 0.0) + self.unsure * (1.0 - weights) * direct
        metrics = {"mask_rate": weights.mean(), **metrics}
        return by_example(loss), MatchState(align, mask, ()), metrics
