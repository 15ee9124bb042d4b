"""Base class of methods that match layers of the trained model to those of the source."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.views import View
from mtl_jax.transfer.source_views import (
    ImageView,
    layer_pairs,
    require_layers,
    require_weight_and_view,
    views_of,
)

# Feature maps are layer outputs before normalization: `Conv_0`, `Dense_1`, `stage2`. The source
# normalizes by its running statistics, the trained model by batch statistics, so that maps after a
# BatchNorm would differ from the first step on. Labels are not used, so missing labels do not
# matter.


@dataclasses.dataclass(frozen=True)
class LayerMatching(AuxiliaryLoss):
    """Penalizes the distance of layers from those of the source, summed over the layers.

    Subclasses define their default weight and the distance, `compare`.

    Attributes:
      weight: weight of the sum.
      layers: names of trunk layers; None uses all of them.
      view: the images to use; "weak" are the unlabelled ones.

    Raises:
      BadInput: if a setting is out of range; when traced, for a layer missing from the trunk.
    """

    weight: float
    layers: tuple[str, ...] | None = None
    view: ImageView = "labelled"

    target_types = ALL_TYPES
    per_position = False
    needs_feature_maps = True

    def __post_init__(self):
        require_weight_and_view(self)
        require_layers(self)

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the loss requires."""
        return views_of(self.view)

    def compare(self, feature_maps: jax.Array, source: jax.Array) -> jax.Array:
        """Maps a layer's feature maps, and the source's, to a loss `[n]`, or `[]` for the batch."""
        raise NotImplementedError

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to a loss `[n]`, or `[1]` for the batch, no state, and no metrics."""
        pairs = layer_pairs(self, views.feature_maps).values()
        losses = [self.compare(student, source) for student, source in pairs]
        return AuxUpdate(jnp.atleast_1d(sum_arrays(losses)), state, {})
