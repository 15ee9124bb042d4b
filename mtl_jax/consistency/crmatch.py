"""CRMatch: the same class, but not the same features, for two views; and rotations told apart."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.mask import Threshold
from mtl_jax.consistency.match import Match, MatchState, by_example
from mtl_jax.consistency.projection import unit
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Head
from mtl_jax.core.validation import require_count, require_number
from mtl_jax.core.views import Rotated, View, name_of
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.target_type import MULTICLASS

# What is done with classes unless told otherwise: FixMatch.
MATCH = Match(mask=Threshold(0.95))
ROTATED = Rotated("weak")


@dataclasses.dataclass(frozen=True)
class CRMatch:
    """A `Match` beside which the features of both views move apart, and rotations are told.

    `m H + distance m max(0, cos(h, h')) + rotation H(r, rotated)` per example: m H is the
    match's loss and m its mask; h and h' are linear maps of the features of its two views,
    which shall differ (equivariance) while the classes agree; r is which of four quarter turns
    the weak view was turned by. A cosine below 0 is not pushed further, as in USB's code.

    Gradients flow into the learner, into both h and h', and into the rotated view. Features
    are as the task's head reads them, `[n, D]` (in USB the linear map reads the feature map
    before it is pooled); and each image is turned once, at random (in USB other images,
    four times each).

    Attributes:
      match: what is done with the classes.
      distance: weight of the second term.
      rotation: weight of the third; 0 leaves out the turned view and its head, for what
        cannot be turned.
      size: numbers of h.

    Raises:
      BadInput: for a setting out of range.

    Reference: Fan et al., Revisiting Consistency Regularization for Semi-Supervised Learning,
      IJCV 2023, method section (https://arxiv.org/abs/2112.05825).
    """

    match: Match = MATCH
    distance: float = 1.0
    rotation: float = 1.0
    size: int = 128

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, distance=(0.0, math.inf), rotation=(0.0, math.inf))
        require_count(self, size=1)

    @property
    def weight(self) -> float:
        """Of all three terms: the match's."""
        return self.match.weight

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (*self.match.views, ROTATED) if self.rotation > 0 else self.match.views

    def heads(self, num_classes: int) -> dict[str, Head]:
        """The linear map, and the quarter turns."""
        distance = {"distance": Head(self.size)}
        return {**distance, "rotation": Head(4, hidden=1)} if self.rotation > 0 else distance

    def init(self, sizes: Sizes) -> MatchState:
        """State before the first step: the match's."""
        return self.match.init(sizes)

    def update(self, views: Views, state: MatchState) -> tuple[jax.Array, MatchState, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        before = jax.lax.stop_gradient(state)
        guess, _ = self.match.guess(views, before)
        weights, *_ = self.match.mask.update(guess, views, before.mask)
        loss, state, metrics = self.match.update(views, state)
        source, learner = (views.of(view, "distance") for view in self.match.views)
        cosine = (unit(source) * unit(learner)).sum(-1)
        each = by_example(weights.astype(loss.dtype)) * jnp.maximum(cosine, 0.0)
        loss = loss + self.distance * each
        metrics = {**metrics, "cosine": cosine.mean()}
        if self.rotation == 0:
            return loss, state, metrics
        turned = cross_entropy(views.of(ROTATED, "rotation"), views.drawn[name_of(ROTATED)])
        return loss + self.rotation * turned, state, {**metrics, "rotation": turned.mean()}
