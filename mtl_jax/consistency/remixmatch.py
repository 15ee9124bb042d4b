"""ReMixMatch: MixMatch with aligned pseudo-labels, which strongly augmented views follow."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import DistributionAlignment
from mtl_jax.consistency.mixed import labelled_part, labels_or, mixed_targets
from mtl_jax.consistency.parts import Align
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.consistency.ramp_up import linear_ramp_up
from mtl_jax.consistency.target import SharpenedLabels
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import MixedView, RotatedView, SeparatePass, View, view_key
from mtl_jax.losses import cross_entropy, soft_cross_entropy

ALIGN = DistributionAlignment("labels")
GUESS = SeparatePass(("labelled", "weak"), "frozen_student")
PARTS = ("labelled_strong", "strong", "strong2", "weak")
TURNED = RotatedView("strong")


class Targets(NamedTuple):
    """Targets of the batch."""

    guess: jax.Array  # [U, C], pseudo-labels of unlabelled images
    mixed: jax.Array  # [B + 3U, C], of the mixed view


@dataclasses.dataclass(frozen=True)
class ReMixMatch(AuxiliaryLoss):
    """MixMatch with distribution alignment and augmentation anchoring.

    The pseudo-label q of an unlabelled image is the prediction for its weak view, aligned and then
    sharpened, `q_c^(1/T) / sum_j q_j^(1/T)`; two strong views and the weak one are trained on it.
    The loss is

        H(mixed labelled) + mixed * H(mixed unlabelled) + pre_mixup_weight * H(q, strong)
            + rotation * H(turns, strong view rotated by that many quarter turns),

    where labelled (strongly augmented), strong and weak images are mixed with each other, each with
    a weight of at least 1/2 on itself, with targets mixed likewise, and a separate head
    predicts the turns. The second and third term grow with the ramp. No gradient with respect to
    pseudo-labels. Logits are `[n, C]`.

    A labelled image without this task's label has weight 0; as a partner, its target is its own
    sharpened prediction, not aligned.

    The paper has 8 strong views and aligns to the last 128 batches, here to a running mean. All
    images with gradients pass through the model together, so BatchNorm sees mixed and other
    images in one batch; USB updates its statistics with some parts only. The pass for
    pseudo-labels leaves them unchanged.

    Attributes:
      align: `DistributionAlignment`, `QueueAlignment` or `NoAlignment`.
      temperature: T.
      alpha: of the Beta distribution.
      mixed: weight of the mixed unlabelled images.
      pre_mixup_weight: weight of the unmixed strong view.
      rotation: weight of the turns; 0 removes them and their head, for data without an upright
        orientation.
      ramp: fraction of training over which the first two weights grow linearly.
      weight: of all three unlabelled terms.

    Raises:
      BadInput: for a temperature or alpha that is not above 0, a negative weight, or a ramp
        outside [0, 1].

    Reference: Berthelot et al., ReMixMatch, ICLR 2020, Algorithm 1 and Section 3
      (https://arxiv.org/abs/1911.09785).
    """

    align: Align = ALIGN
    temperature: float = 0.5
    alpha: float = 0.75
    mixed: float = 1.5
    pre_mixup_weight: float = 0.5
    rotation: float = 0.5
    ramp: float = 1 / 64
    weight: float = 1.0

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, temperature=(1e-6, math.inf), alpha=(1e-6, math.inf))
        require_number(self, mixed=(0.0, math.inf), pre_mixup_weight=(0.0, math.inf))
        require_number(self, weight=(0.0, math.inf))
        require_number(self, rotation=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def mixture(self) -> MixedView:
        """The mixed view."""
        return MixedView(PARTS, self.alpha)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        turned = (TURNED,) if self.rotation > 0 else ()
        return (GUESS, self.mixture, "strong", *turned)

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """A head that predicts the number of quarter turns."""
        return {"rotation": AuxHead(4)} if self.rotation > 0 else {}

    def init(self, sizes: DatasetSizes) -> Any:
        """Returns the initial state of the alignment."""
        return self.align.init(sizes)

    def targets(self, views: AuxInputs, state: Any) -> tuple[Targets, Any]:
        """Targets of a batch, and the next state of the alignment."""
        plain = jax.nn.log_softmax(jax.lax.stop_gradient(views.outputs(GUESS)))
        own, weak = jnp.split(plain, (views.mask.shape[0],))
        aligned, state = self.align.update(weak, views, jax.lax.stop_gradient(state))
        sharp = SharpenedLabels(self.temperature)
        guess = sharp(Prediction(weak, aligned))
        labelled = labels_or(views, sharp(Prediction(own, own)))
        every = jnp.concatenate([labelled, guess, guess, guess])
        return Targets(guess, mixed_targets(every, views, self.mixture)), state

    def update(self, views: AuxInputs, state: Any) -> tuple[jax.Array, Any, dict]:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        targets, state = self.targets(views, state)
        logits = views.outputs(self.mixture)
        each = soft_cross_entropy(logits, targets.mixed)[views.mask.shape[0] :]
        mixed = each.reshape(3, -1).mean(0)
        unmixed = soft_cross_entropy(views.outputs("strong"), targets.guess)
        loss = linear_ramp_up(
            self.mixed * mixed + self.pre_mixup_weight * unmixed, views, self.ramp
        )
        metrics = {"mask_rate": jnp.ones((), loss.dtype)}
        if self.rotation > 0:
            told = cross_entropy(
                views.outputs(TURNED, "rotation"), views.view_params[view_key(TURNED)]
            )
            loss += self.rotation * told
            metrics["rotation_loss"] = told.mean()
        return loss, state, metrics

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Any) -> jax.Array:
        """Mean cross-entropy `[]` of the mixed labelled images; the task's own loss is unused."""
        targets, _ = self.targets(views, state)
        return labelled_part(views, views.outputs(self.mixture), targets.mixed)
