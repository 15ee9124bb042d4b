"""Attention transfer: matches spatial attention maps to those of the teacher."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import unit
from mtl_jax.transfer.layer_matching import LayerMatching


@dataclasses.dataclass(frozen=True)
class AttentionTransfer(LayerMatching):
    """Attention transfer: matches the attention maps of layers to those of the source.

    `sum_layers 1/P ||q / ||q|| - q0 / ||q0|| ||^2`, per example, see `attention_transfer`. Requires
    a run with a source model (`init_from`) and maps with spatial positions `[n, ..., C]`. No
    gradient with respect to the source.

    Attributes:
      weight: weight of the mean over the images.
      layers: names of trunk layers; None uses all of them.
      view: the images to use; "weak" are the unlabelled ones.

    Raises:
      BadInput: if a setting is out of range; when traced, for a layer missing from the trunk.
      ValueError: for a layer without spatial positions (when traced).

    Reference: Zagoruyko and Komodakis, Paying More Attention to Attention, ICLR 2017, the section
      on activation-based attention transfer (https://arxiv.org/abs/1612.03928); the default
      weight is RepDistiller's (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 1000.0

    def compare(self, feature_maps: jax.Array, source: jax.Array) -> jax.Array:
        """Maps a layer's feature maps, and the source's, to a loss for each example `[n]`."""
        return attention_transfer(feature_maps, source)


def attention_transfer(feature_maps: jax.Array, teacher: jax.Array) -> jax.Array:
    """Distance of attention maps, `1/P ||q / ||q|| - q_t / ||q_t|| ||^2`, per example.

    `q = sum_c F_c^2` over the channels, a vector over the P positions (H W). Invariant to the scale
    of the features and the order of the channels. No gradient with respect to `teacher`.
    RepDistiller uses a weight of 1000.

    Degenerate gradients: a map of zeros has zero attention and no gradient.

    Args:
      feature_maps: feature maps of a layer, floats `[B, ..., C]`.
      teacher: feature maps with the same positions; the number of channels may differ.

    Returns:
      The loss `[B]`; sum it over several layers.

    Raises:
      ValueError: if the positions differ (when traced).

    Reference: Zagoruyko and Komodakis, Paying More Attention to Attention, ICLR 2017, the section
      on activation-based attention transfer, p = 2; the mean of squares is that of the authors'
      code, while the paper uses the norm (https://arxiv.org/abs/1612.03928).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> feature_maps, teacher = jnp.zeros((2, 4, 4, 8)), jnp.ones((2, 4, 4, 16))
      >>> transfer.attention_transfer(feature_maps, teacher).tolist()
      [0.0625, 0.0625]
    """
    if feature_maps.shape[:-1] != teacher.shape[:-1] or feature_maps.ndim < 3:
        raise ValueError(
            f"attention_transfer needs maps [B, ..., C] of the same positions, "
            f"not {feature_maps.shape} and {teacher.shape}: resize one of them"
        )
    target = jax.lax.stop_gradient(attention(teacher)).astype(feature_maps.dtype)
    return jnp.square(attention(feature_maps) - target).mean(-1)


def attention(feature_maps: jax.Array) -> jax.Array:
    """Attention vectors `[B, P]` of norm 1 of maps `[B, ..., C]`."""
    return unit(jnp.square(feature_maps).sum(-1).reshape(len(feature_maps), -1))
