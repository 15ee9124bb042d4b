"""Behavioural regularization: keeps feature maps near those of the source, unweighted."""

import dataclasses

import jax

from mtl_jax.transfer.delta import channel_distances
from mtl_jax.transfer.layer_matching import LayerMatching


@dataclasses.dataclass(frozen=True)
class BehavioralRegularization(LayerMatching):
    """Behavioural regularization (DELTA without attention): keeps feature maps near the source's.

    `1/2 sum_layers sum_b ||F_b - F0_b||^2`, see `behavioral_loss`: a sum over the batch and all
    entries, so it grows with both. The run requires a source model (`init_from`). Use it with a
    weight decay of 0 and a penalty of 0.01 on the head (`L2SP(0.0, head_weight=0.01)`). No gradient
    with respect to the source.

    Attributes:
      weight: weight of the sum.
      layers: names of trunk layers; None uses all of them.
      view: the images to use; "weak" are the unlabelled ones.

    Raises:
      BadInput: if a setting is out of range; when traced, for a layer missing from the trunk.

    Reference: Li et al., DELTA, ICLR 2019, the section on behavioural regularisation, without its
      weights (https://openreview.net/forum?id=rkgbwsAcYm); the default weight is TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).
    """

    weight: float = 0.01

    def compare(self, feature_maps: jax.Array, source: jax.Array) -> jax.Array:
        """Maps a layer's feature maps, and the source's, to one loss for the batch `[]`."""
        return behavioral_loss(feature_maps, source)


def behavioral_loss(feature_maps: jax.Array, source: jax.Array) -> jax.Array:
    """Unweighted distance of feature maps, `1/2 sum_b ||F_b - F0_b||^2`.

    A sum, not a mean, over the batch and all entries. No gradient with respect to `source`.

    Args:
      feature_maps: feature maps of one layer, floats `[B, ..., C]`.
      source: feature maps of the source model on the same images, the same shape.

    Returns:
      A scalar `[]`; sum it over several layers.

    Raises:
      ValueError: if the shapes differ (when traced).

    Reference: Li et al., DELTA, ICLR 2019, the section on behavioural regularisation, without its
      weights (https://openreview.net/forum?id=rkgbwsAcYm).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> feature_maps, source = jnp.ones((2, 4, 4, 3)), jnp.zeros((2, 4, 4, 3))
      >>> float(transfer.behavioral_loss(feature_maps, source))  # half of 2 x 4 x 4 x 3
      48.0
    """
    return 0.5 * channel_distances("behavioral_loss", feature_maps, source).sum()
