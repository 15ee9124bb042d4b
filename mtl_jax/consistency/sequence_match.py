"""SequenceMatch: a view of medium strength between the weak and the strong one."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.curriculum_threshold import CurriculumThreshold
from mtl_jax.consistency.match import NO_ALIGNMENT, Match, MatchState, per_example_mean
from mtl_jax.consistency.parts import Align, Mask
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.consistency.target import HardLabels, SharpenedLabels
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_number
from mtl_jax.losses import kl_divergence, soft_cross_entropy

CURRICULUM = CurriculumThreshold()


@dataclasses.dataclass(frozen=True)
class SequenceMatch(AuxiliaryLoss):
    """Each view is trained on predictions for a weaker one, from weak over medium to strong.

    `m (H(argmax q_w, s) + KL(q_w || m) + KL(q_m || s) + KL(q_w || s)) + (1 - m) u KL(q_w || s)`
    per example, where q_w and q_m are the sharpened predictions for the weak and the medium view,
    and the mask m is of the prediction for the weak view before sharpening. No gradient with
    respect to the weak view or q_m. Any leading shape that the mask supports;
    `CurriculumThreshold` requires `[U, C]`.

    The paper's abstract has a separate constraint for predictions that are not confident; the
    authors' code has it as an option, and USB omits it (`low_confidence_weight=0`). USB takes the softmax of
    probabilities in all three divergences; here the predictions themselves are sharpened. In the
    authors' code each divergence has a fixed threshold on its own target view; here all share
    one mask.

    Attributes:
      align: distribution alignment of the predictions for the weak view, as in `Match`.
      mask: which predictions are confident, as in `Match`.
      temperature: of the sharpening.
      low_confidence_weight: u, weight of the divergence for predictions outside the mask.
      weight: of the mean over all U examples.

    Raises:
      BadInput: for a temperature that is not above 0, or a negative weight.

    Reference: Nguyen, SequenceMatch, WACV 2024, method (https://arxiv.org/abs/2310.15787).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.SequenceMatch(mask=consistency.ConfidenceThreshold()).views
      ('weak', 'medium', 'strong')
    """

    align: Align = NO_ALIGNMENT
    mask: Mask = CURRICULUM
    temperature: float = 0.5
    low_confidence_weight: float = 1.0
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("weak", "medium", "strong")

    def __post_init__(self):
        require_number(
            self,
            temperature=(1e-6, math.inf),
            low_confidence_weight=(0.0, math.inf),
            weight=(0.0, math.inf),
        )

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
        medium, strong = views.outputs("medium"), views.outputs("strong")
        medium_log_probs = jax.nn.log_softmax(jax.lax.stop_gradient(medium))
        sharpen = SharpenedLabels(self.temperature)
        divergence = kl_divergence(strong, sharpen(prediction))
        confident = soft_cross_entropy(strong, HardLabels()(prediction)) + divergence
        confident += kl_divergence(medium, sharpen(prediction))
        confident += kl_divergence(strong, sharpen(Prediction(medium_log_probs, medium_log_probs)))
        weights = weights.astype(strong.dtype)
        loss = jnp.where(weights > 0, weights * confident, 0.0)
        loss = loss + self.low_confidence_weight * (1.0 - weights) * divergence
        metrics = {"mask_rate": weights.mean(), **metrics}
        return AuxUpdate(per_example_mean(loss), MatchState(align, mask, ()), metrics)
