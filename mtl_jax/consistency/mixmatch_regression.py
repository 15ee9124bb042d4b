"""MixMatch for regression: images and targets are mixed, labelled and unlabelled together."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import per_example_mean
from mtl_jax.consistency.mixed import mixed_targets
from mtl_jax.consistency.ramp_up import linear_ramp_up
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import CONTINUOUS
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import MixedView, SeparatePass, View
from mtl_jax.losses import squared_error
from mtl_jax.losses.masked import known_entries, masked_mean

PARTS = ("labelled", "weak", "weak2")
GUESS = SeparatePass(PARTS, "frozen_student")


@dataclasses.dataclass(frozen=True)
class MixMatchRegression(AuxiliaryLoss):
    """MixMatch for regression: mixed images have the mixed targets.

    The targets are the labels `[B]` and, for both weak views, the mean of the model's outputs
    `[U]` for them; they are mixed as the images are, `r t_i + (1 - r) t_j` with r at least 1/2.
    The first B mixtures have the task's loss, which replaces the labelled loss; the other 2U have
    the squared error. Nothing is sharpened: continuous targets have no temperature. No gradient
    with respect to pseudo-labels. Any leading shape.

    A labelled image without this task's label, or a missing entry of a vector target, has weight
    0; as a partner, its target is the model's own output.

    Attributes:
      alpha: of the Beta distribution of r.
      weight: of the mean over all U examples and both views.
      ramp: fraction of training over which the loss grows.

    Raises:
      BadInput: for an alpha that is not above 0, a negative weight, or a ramp outside [0, 1].

    Reference: Berthelot et al., MixMatch, NeurIPS 2019, Algorithm 1
      (https://arxiv.org/abs/1905.02249); for regression, with these settings: Huang et al., RankUp,
      NeurIPS 2024, authors' code (https://arxiv.org/abs/2410.22124).

    Example:
      >>> from mtl_jax import consistency
      >>> method = consistency.MixMatchRegression(alpha=0.75)
      >>> method.target_types, method.mixed_view.views
      (('continuous',), ('labelled', 'weak', 'weak2'))
    """

    alpha: float = 0.5
    weight: float = 0.1
    ramp: float = 0.4

    target_types = CONTINUOUS

    def __post_init__(self):
        positive = (1e-6, math.inf)
        require_number(self, alpha=positive, weight=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def mixed_view(self) -> MixedView:
        """The mixed view, which is trained."""
        return MixedView(PARTS, self.alpha)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return (GUESS, self.mixed_view)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, over both views, no state and metrics."""
        losses = per_example_mean(
            squared_error(views.outputs(self.mixed_view), self.targets(views))
        )
        loss = losses[views.mask.size :].reshape(2, -1).mean(0)
        return AuxUpdate(
            linear_ramp_up(loss, views, self.ramp),
            state,
            {"mask_rate": jnp.ones((), loss.dtype)},
        )

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Mean loss `[]` over the mixed labelled images."""
        size = views.mask.size
        targets = self.targets(views)[:size].reshape(views.labels.shape)
        known = known_entries(views.labels, views.mask)
        return masked_mean(loss, views.outputs(self.mixed_view)[:size], targets, known)

    def targets(self, views: AuxInputs) -> jax.Array:
        """Targets `[B + 2U, ..., D]` of the mixed images."""
        outputs = jax.lax.stop_gradient(views.outputs(GUESS))
        labelled, weak = outputs[: views.mask.size], outputs[views.mask.size :]
        weak = weak.reshape(2, -1, *weak.shape[1:]).mean(0)
        known = known_entries(views.labels, views.mask).reshape(labelled.shape)
        labels = views.labels.reshape(labelled.shape).astype(labelled.dtype)
        labels = jnp.where(known, labels, labelled)
        return mixed_targets(jnp.concatenate([labels, weak, weak]), views, self.mixed_view)
