"""MixMatch: labelled and pseudo-labelled images are mixed, with their targets."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.consistency.mixed import fill_missing_labels, labelled_mixed_loss, mixed_targets
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.consistency.ramp_up import linear_ramp_up
from mtl_jax.consistency.target import SharpenedLabels
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import MixedView, SeparatePass, View
from mtl_jax.losses import probability_squared_error

PARTS = ("labelled", "weak", "weak2")
GUESS = SeparatePass(PARTS, "frozen_student")


@dataclasses.dataclass(frozen=True)
class MixMatch(AuxiliaryLoss):
    """Mixes all images of the batch with each other, and their targets likewise.

    The pseudo-label of an unlabelled image is `s((p(weak) + p(weak2)) / 2)` for both its views,
    with the sharpening `s(q)_c = q_c^(1/T) / sum_j q_j^(1/T)`. Each labelled or unlabelled image
    is mixed with a random other one, with weight `r >= 1/2` on itself. A mixed labelled image has
    the cross-entropy with its mixed target (the partner's part of which may be a pseudo-label),
    mixed unlabelled ones the squared error, `1/C |softmax - t|^2`. No gradient with respect to
    pseudo-labels. Logits are `[n, C]`.

    A labelled image without this task's label has weight 0; as a partner, its target is its own
    sharpened prediction. Predictions come from one pass over the whole unmixed batch, which
    leaves BatchNorm's statistics unchanged; the authors' code has a pass for each view.

    Attributes:
      temperature: T.
      alpha: of the Beta distribution of r.
      weight: of the mean over all U examples and both views (75 is for CIFAR-10).
      ramp: fraction of training over which the unlabelled loss grows linearly.

    Raises:
      BadInput: for a temperature or alpha that is not above 0, a negative weight, or a ramp
        outside [0, 1].

    Reference: Berthelot et al., MixMatch, NeurIPS 2019, Algorithm 1
      (https://arxiv.org/abs/1905.02249).

    Example:
      >>> from mtl_jax import consistency
      >>> target_view, mixed_view = consistency.MixMatch().views
      >>> target_view.model, mixed_view.views
      ('frozen_student', ('labelled', 'weak', 'weak2'))
    """

    temperature: float = 0.5
    alpha: float = 0.75
    weight: float = 75.0
    ramp: float = 1 / 64

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, temperature=(1e-6, math.inf), alpha=(1e-6, math.inf))
        require_number(self, weight=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def mixed_view(self) -> MixedView:
        """The mixed view, which is trained."""
        return MixedView(PARTS, self.alpha)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return (GUESS, self.mixed_view)

    def targets(self, views: AuxInputs) -> jax.Array:
        """Targets `[B + 2U, C]` of the mixed images."""
        log_probs = jax.nn.log_softmax(jax.lax.stop_gradient(views.outputs(GUESS)))
        labelled, first, second = jnp.split(log_probs, split_indices(views, log_probs.shape[0]))
        # In log space, where sharpening is applied: log((e^a + e^b) / 2).
        mean = jnp.logaddexp(first, second) - math.log(2.0)
        sharpen = SharpenedLabels(self.temperature)
        labelled_targets = fill_missing_labels(views, sharpen(Prediction(labelled, labelled)))
        pseudo_labels = sharpen(Prediction(mean, mean))
        targets = jnp.concatenate([labelled_targets, pseudo_labels, pseudo_labels])
        return mixed_targets(targets, views, self.mixed_view)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, over both views, no state and metrics."""
        losses = probability_squared_error(views.outputs(self.mixed_view), self.targets(views))
        loss = losses[views.mask.shape[0] :].reshape(2, -1).mean(0)
        return AuxUpdate(
            linear_ramp_up(loss, views, self.ramp),
            state,
            {"mask_rate": jnp.ones((), loss.dtype)},
        )

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Mean cross-entropy `[]` of the mixed labelled images; the task's own loss is unused."""
        return labelled_mixed_loss(views, views.outputs(self.mixed_view), self.targets(views))


def split_indices(views: AuxInputs, total: int) -> tuple[int, int]:
    """End indices of the labelled part and of the first unlabelled one of `B + 2U` images."""
    num_labelled = views.mask.shape[0]
    return num_labelled, num_labelled + (total - num_labelled) // 2
