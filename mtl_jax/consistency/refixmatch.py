"""ReFixMatch: predictions not confident enough for labels are matched as probabilities."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.mask import ConfidenceThreshold
from mtl_jax.consistency.match import NO_ALIGNMENT, Match, MatchState, per_example_mean
from mtl_jax.consistency.parts import Align, Mask
from mtl_jax.consistency.target import HardLabels, SharpenedLabels
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_number
from mtl_jax.losses import kl_divergence, soft_cross_entropy

CONFIDENT = ConfidenceThreshold()


@dataclasses.dataclass(frozen=True)
class ReFixMatch(AuxiliaryLoss):
    """FixMatch that uses every unlabelled example.

    `m H(argmax q, s) + (1 - m) KL(q^(1/T) / sum_c q_c^(1/T) || s)` per example: the strong view
    s is trained on confident predictions for the weak view as labels, and on the others as
    sharpened probabilities. The mask m uses the prediction before sharpening. No gradient with
    respect to the weak view. Any leading shape that the mask supports. (USB takes the softmax of
    probabilities, which flattens the targets, and divides the strong logits by T too; here
    neither is done.)

    Attributes:
      align: distribution alignment of the predictions, as in `Match`.
      mask: which predictions are confident, as in `Match`.
      temperature: T.
      weight: of the mean over all U examples.

    Raises:
      BadInput: for a temperature that is not above 0, or a negative weight.

    Reference: Nguyen and Yang, Boosting Semi-Supervised Learning by Bridging High and
      Low-Confidence Predictions, ICCV workshops 2023, method (https://arxiv.org/abs/2308.07509).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.ReFixMatch(mask=consistency.CurriculumThreshold(), temperature=0.4).views
      ('weak', 'strong')
    """

    align: Align = NO_ALIGNMENT
    mask: Mask = CONFIDENT
    temperature: float = 0.5
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("weak", "strong")

    def __post_init__(self):
        require_number(self, temperature=(1e-6, math.inf), weight=(0.0, math.inf))

    @property
    def match(self) -> Match:
        """Match that makes the pseudo-labels from the weak view."""
        return Match(align=self.align, mask=self.mask)

    def init(self, sizes: DatasetSizes) -> MatchState:
        """Returns the initial states of the parts."""
        return self.match.init(sizes)

    def update(self, views: AuxInputs, state: MatchState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        state = jax.lax.stop_gradient(state)
        prediction, align = self.match.predict(views, state)
        weights, mask, metrics = self.mask.update(prediction, views, state.mask)
        strong = views.outputs("strong")
        hard_loss = soft_cross_entropy(strong, HardLabels()(prediction))
        soft_loss = kl_divergence(strong, SharpenedLabels(self.temperature)(prediction))
        weights = weights.astype(strong.dtype)
        loss = jnp.where(weights > 0, weights * hard_loss, 0.0) + (1.0 - weights) * soft_loss
        metrics = {"mask_rate": weights.mean(), **metrics}
        return AuxUpdate(per_example_mean(loss), MatchState(align, mask, ()), metrics)
