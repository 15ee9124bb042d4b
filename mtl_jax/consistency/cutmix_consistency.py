"""CutMix consistency: predictions for an image of two pieces match those for the pieces."""

import dataclasses
import math
from typing import Literal

import jax

from mtl_jax.consistency.ict import TEACHER
from mtl_jax.consistency.match import per_example_mean
from mtl_jax.consistency.mixed import mixed_targets
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_choice, require_number
from mtl_jax.core.views import CutMixView, View
from mtl_jax.losses import probability_squared_error, soft_cross_entropy


@dataclasses.dataclass(frozen=True)
class CutMixConsistency(AuxiliaryLoss):
    """Consistency of an image that is half another one, for segmentation and classification.

    `w |softmax(f(M x_i + (1 - M) x_j)) - q|^2` with `q = M p_i + (1 - M) p_j` per pixel, M a
    random rectangle that covers half of the image, and p the probabilities of the averaged model
    (`Evaluation.ema_decay`) for the whole images. The weight w is the fraction of confident
    predictions in the batch, `max p >= threshold`, or whether this one is confident. Where the
    outputs of an image are one vector, M is the fraction of image i. The teacher normalizes by
    the statistics of its own batch; no gradient with respect to it. Any leading shape.

    Attributes:
      threshold: confidence from which a prediction counts.
      confidence: "batch" weights all losses by the fraction that is confident, as in the paper,
        "position" each by whether it is.
      divergence: "squared_error", summed over classes as in the paper, or "cross_entropy".
      student_view: the images that are mixed, "weak" as in the paper or "strong" (whose policy
        must not move pixels).
      weight: of the mean over all predictions.

    Raises:
      BadInput: for a threshold outside [0, 1], an unknown choice or a negative weight.

    Reference: French et al., Semi-supervised Semantic Segmentation Needs Strong, Varied
      Perturbations, BMVC 2020, Section 3 (https://arxiv.org/abs/1906.01916), and the authors'
      code; partners are images of the same batch.

    Example:
      >>> from mtl_jax import consistency
      >>> target_view, mixed_view = consistency.CutMixConsistency().views
      >>> target_view.model, mixed_view.area
      ('teacher', (0.5, 0.5))
    """

    threshold: float = 0.97
    confidence: Literal["batch", "position"] = "batch"
    divergence: Literal["squared_error", "cross_entropy"] = "squared_error"
    student_view: Literal["weak", "strong"] = "weak"
    weight: float = 1.0

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), weight=(0.0, math.inf))
        require_choice(self, confidence=("batch", "position"), student_view=("weak", "strong"))
        require_choice(self, divergence=("squared_error", "cross_entropy"))

    @property
    def mixed_view(self) -> CutMixView:
        """The mixed view, which is trained."""
        return CutMixView(self.student_view, area=(0.5, 0.5), aspect=2.0, probability=1.0)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return (TEACHER, self.mixed_view)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to per-example losses `[n]`, no state and metrics."""
        probs = jax.nn.softmax(jax.lax.stop_gradient(views.outputs(TEACHER)))
        confident = (probs.max(-1, keepdims=True) >= self.threshold).astype(probs.dtype)
        weights = mixed_targets(confident, views, self.mixed_view)[..., 0]
        logits = views.outputs(self.mixed_view)
        targets = mixed_targets(probs, views, self.mixed_view)
        if self.divergence == "squared_error":
            losses = logits.shape[-1] * probability_squared_error(logits, targets)
        else:
            losses = soft_cross_entropy(logits, targets)
        rate = weights.mean()
        weights = rate if self.confidence == "batch" else weights
        return AuxUpdate(per_example_mean(weights * losses), state, {"mask_rate": rate})
