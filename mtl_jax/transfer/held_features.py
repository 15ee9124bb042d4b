"""Methods that hold relations among a batch's features to those that the source net sees."""

import dataclasses
import math

import jax

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import View
from mtl_jax.losses.target_type import ALL_TYPES
from mtl_jax.transfer.relational import rkd_angle, rkd_distance
from mtl_jax.transfer.similarity import pkt, similarity_preserving
from mtl_jax.transfer.source_views import Seen, both, require_held, views_of

# Features are what the task's head reads. Labels are not read: missing ones do not matter.


@dataclasses.dataclass(frozen=True)
class RKD:
    """Relational distillation: distances and angles among examples as the source sees them.

    `distance * rkd_distance(f, f0) + angle * rkd_angle(f, f0)`, one number for the batch, of at
    least 3 images. It wants a run with a source. Nothing flows into the source.

    Attributes:
      weight: of the sum.
      distance: weight of the distances.
      angle: weight of the angles.
      view: which images; "weak" are the unlabelled ones.

    Raises:
      BadInput: for a setting out of range.

    Reference: Park et al., Relational Knowledge Distillation, CVPR 2019, the sections on the
      distance-wise and the angle-wise loss (https://arxiv.org/abs/1904.05068); the default
      weights are RepDistiller's (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 1.0
    distance: float = 25.0
    angle: float = 50.0
    view: Seen = "labelled"

    target_types = ALL_TYPES

    def __post_init__(self):
        require_held(self)
        require_number(self, distance=(0.0, math.inf), angle=(0.0, math.inf))

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return views_of(self.view)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to one loss for the batch `[1]`, no state, and both parts as metrics."""
        now, before = both(views.features, self.view)
        distance, angle = rkd_distance(now, before), rkd_angle(now, before)
        loss = self.distance * distance + self.angle * angle
        return loss[None], state, {"distance": distance, "angle": angle}


@dataclasses.dataclass(frozen=True)
class SimilarityPreserving:
    """Examples are as similar to each other as the source sees them.

    `similarity_preserving(f, f0)`, one number for the batch, of at least 2 images. It wants a
    run with a source. Nothing flows into the source.

    Attributes:
      weight: of the number.
      view: which images; "weak" are the unlabelled ones.

    Raises:
      BadInput: for a setting out of range.

    Reference: Tung and Mori, Similarity-Preserving Knowledge Distillation, ICCV 2019, the section
      on the method (https://arxiv.org/abs/1907.09682), there on a layer's map; the default
      weight is RepDistiller's (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 3000.0
    view: Seen = "labelled"

    target_types = ALL_TYPES

    def __post_init__(self):
        require_held(self)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return views_of(self.view)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to one loss for the batch `[1]`, no state, and no metrics."""
        return similarity_preserving(*both(views.features, self.view))[None], state, {}


@dataclasses.dataclass(frozen=True)
class PKT:
    """Probabilistic knowledge transfer: examples meet each other as often as for the source.

    `1/n pkt(f, f0)` for n images, at least 2, one number for the batch: with this 1/n it is the
    mean over pairs, as in the authors' code, to which the published weight belongs. It wants a
    run with a source. Nothing flows into the source.

    Attributes:
      weight: of the number.
      view: which images; "weak" are the unlabelled ones.

    Raises:
      BadInput: for a setting out of range.

    Reference: Passalis and Tefas, Learning Deep Representations with Probabilistic Knowledge
      Transfer, ECCV 2018, the section on the method, cosine kernel
      (https://arxiv.org/abs/1803.10837); the default weight is RepDistiller's
      (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 3e4
    view: Seen = "labelled"

    target_types = ALL_TYPES

    def __post_init__(self):
        require_held(self)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return views_of(self.view)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to one loss for the batch `[1]`, no state, and no metrics."""
        now, before = both(views.features, self.view)
        return pkt(now, before)[None] / now.shape[0], state, {}
