"""ReMixMatch: MixMatch with aligned pseudo-labels, which strongly augmented views follow."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import DistributionAlignment
from mtl_jax.consistency.mixed import fill_missing_labels, labelled_mixed_loss, mixed_targets
from mtl_jax.consistency.parts import Align
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.consistency.ramp_up import linear_ramp_up
from mtl_jax.consistency.target import SharpenedLabels
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import MixedView, RotatedView, SeparatePass, View, view_key
from mtl_jax.losses import cross_entropy, soft_cross_entropy

ALIGN = DistributionAlignment("labels")
GUESS = SeparatePass(("labelled", "weak"), "frozen_student")
PARTS = ("labelled_strong", "strong", "strong2", "weak")
ROTATED = RotatedView("strong")


class Targets(NamedTuple):
    """Targets of the batch."""

    pseudo_labels: jax.Array  # [U, C], of the unlabelled images
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

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.ReMixMatch().aux_heads(10)
      {'rotation': AuxHead(outputs=4, hidden=0)}
      >>> consistency.ReMixMatch(rotation=0.0).aux_heads(10)
      {}
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
        rotated = (ROTATED,) if self.rotation > 0 else ()
        return (GUESS, self.mixture, "strong", *rotated)

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """A head that predicts the number of quarter turns."""
        return {"rotation": AuxHead(4)} if self.rotation > 0 else {}

    def init(self, sizes: DatasetSizes) -> Tree:
        """Returns the initial state of the alignment."""
        return self.align.init(sizes)

    def targets(self, views: AuxInputs, state: Tree) -> tuple[Targets, Tree]:
        """Targets of a batch, and the next state of the alignment."""
        log_probs = jax.nn.log_softmax(jax.lax.stop_gradient(views.outputs(GUESS)))
        labelled, weak = jnp.split(log_probs, (views.mask.shape[0],))
        aligned, state = self.align.update(weak, views, jax.lax.stop_gradient(state))
        sharpen = SharpenedLabels(self.temperature)
        pseudo_labels = sharpen(Prediction(weak, aligned))
        labelled_targets = fill_missing_labels(views, sharpen(Prediction(labelled, labelled)))
        targets = jnp.concatenate([labelled_targets, *[pseudo_labels] * 3])
        return Targets(pseudo_labels, mixed_targets(targets, views, self.mixture)), state

    def update(self, views: AuxInputs, state: Tree) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        targets, state = self.targets(views, state)
        logits = views.outputs(self.mixture)
        losses = soft_cross_entropy(logits, targets.mixed)[views.mask.shape[0] :]
        mixed = losses.reshape(3, -1).mean(0)
        unmixed = soft_cross_entropy(views.outputs("strong"), targets.pseudo_labels)
        loss = linear_ramp_up(
            self.mixed * mixed + self.pre_mixup_weight * unmixed, views, self.ramp
        )
        metrics = {"mask_rate": jnp.ones((), loss.dtype)}
        if self.rotation > 0:
            rotation_loss = cross_entropy(
                views.outputs(ROTATED, "rotation"), views.view_params[view_key(ROTATED)]
            )
            loss += self.rotation * rotation_loss
            metrics["rotation_loss"] = rotation_loss.mean()
        return AuxUpdate(loss, state, metrics)

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Mean cross-entropy `[]` of the mixed labelled images; the task's own loss is unused."""
        targets, _ = self.targets(views, state)
        return labelled_mixed_loss(views, views.outputs(self.mixture), targets.mixed)
