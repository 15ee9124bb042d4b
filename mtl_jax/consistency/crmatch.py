"""CRMatch: classes invariant, features equivariant across two views, and rotation prediction."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.mask import ConfidenceThreshold
from mtl_jax.consistency.match import Match, MatchState, per_example_mean
from mtl_jax.consistency.projection import unit
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require_int, require_number
from mtl_jax.core.views import RotatedView, View, view_key
from mtl_jax.losses import cross_entropy

# Default for the classes: FixMatch.
MATCH = Match(mask=ConfidenceThreshold(0.95))
ROTATED = RotatedView("weak")


@dataclasses.dataclass(frozen=True)
class CRMatch(AuxiliaryLoss):
    """A `Match` with two additional terms: feature distance between views, and rotation prediction.

    `m H + distance m max(0, cos(h, h')) + rotation H(r, rotated)` per example: m H is the loss of
    the match and m its mask; h and h' are linear maps of the features of its two views, which
    should differ (equivariance) while the classes agree; r is the number of quarter turns, out of
    four, by which the weak view was rotated. Negative cosines are not penalized, as in USB's code.

    Gradients with respect to the student view, both h and h', and the rotated view. Features are
    the inputs of the task's head, `[n, D]` (in USB the linear map reads the feature map before
    pooling); and each image is rotated once, at random (in USB other images, four times each).

    Attributes:
      match: loss of the classes.
      distance: weight of the second term.
      rotation: weight of the third; 0 removes the rotated view and its head, for data that
        cannot be rotated.
      size: dimension of h.

    Raises:
      BadInput: for a setting out of range.

    Reference: Fan et al., Revisiting Consistency Regularization for Semi-Supervised Learning,
      IJCV 2023, method section (https://arxiv.org/abs/2112.05825).

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.CRMatch().views
      ('weak', 'strong', RotatedView(view='weak'))
      >>> consistency.CRMatch(consistency.FreeMatch(), rotation=0.0).views
      ('weak', 'strong')
    """

    match: Match = MATCH
    distance: float = 1.0
    rotation: float = 1.0
    size: int = 128

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, distance=(0.0, math.inf), rotation=(0.0, math.inf))
        require_int(self, size=1)

    @property
    def weight(self) -> float:
        """Weight of all three terms, that of the match."""
        return self.match.weight

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return (*self.match.views, ROTATED) if self.rotation > 0 else self.match.views

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """The linear map, and the rotation head."""
        distance = {"distance": AuxHead(self.size)}
        return {**distance, "rotation": AuxHead(4, hidden=1)} if self.rotation > 0 else distance

    def init(self, sizes: DatasetSizes) -> MatchState:
        """Returns the initial state of the match."""
        return self.match.init(sizes)

    def update(self, views: AuxInputs, state: MatchState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        fixed = jax.lax.stop_gradient(state)
        prediction, _ = self.match.predict(views, fixed)
        weights, *_ = self.match.mask.update(prediction, views, fixed.mask)
        loss, state, metrics = self.match.update(views, state)
        target, student = (views.outputs(view, "distance") for view in self.match.views)
        cosine = (unit(target) * unit(student)).sum(-1)
        distance_loss = per_example_mean(weights.astype(loss.dtype)) * jnp.maximum(cosine, 0.0)
        loss = loss + self.distance * distance_loss
        metrics = {**metrics, "cosine": cosine.mean()}
        if self.rotation == 0:
            return AuxUpdate(loss, state, metrics)
        rotation_loss = cross_entropy(
            views.outputs(ROTATED, "rotation"), views.view_params[view_key(ROTATED)]
        )
        metrics = {**metrics, "rotation": rotation_loss.mean()}
        return AuxUpdate(loss + self.rotation * rotation_loss, state, metrics)
