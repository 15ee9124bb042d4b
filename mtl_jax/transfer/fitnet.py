"""FitNet: matches intermediate feature maps to those of the teacher."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.transfer.layer_matching import LayerMatching


@dataclasses.dataclass(frozen=True)
class FitNet(LayerMatching):
    """FitNet hints: matches intermediate feature maps to those of the source.

    `sum_layers 1/D ||F - F0||^2`, per example, where D is the size of an example's map, see
    `fitnet`. Both models have the same layers, so no regressor is needed between them. The run
    requires a source model (`init_from`). No gradient with respect to the source.

    Attributes:
      weight: weight of the mean over the images.
      layers: names of trunk layers; None uses all of them, while the paper and RepDistiller use
        one.
      view: the images to use; "weak" are the unlabelled ones.

    Raises:
      BadInput: if a setting is out of range; when traced, for a layer missing from the trunk.

    Reference: Romero et al., FitNets, ICLR 2015, the loss of hint-based training
      (https://arxiv.org/abs/1412.6550); the default weight is RepDistiller's
      (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 100.0

    def compare(self, feature_maps: jax.Array, source: jax.Array) -> jax.Array:
        """Maps a layer's feature maps, and the source's, to a loss for each example `[n]`."""
        return fitnet(feature_maps, source)


def fitnet(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Mean squared distance of features from the teacher's, `1/D ||F - F_t||^2`, per example.

    D is the number of entries per example. No gradient with respect to `teacher`. If the sizes
    differ, the caller first applies its own layer (a 1 x 1 convolution) to `features`. RepDistiller
    uses a weight of 100.

    Args:
      features: floats `[B, ...]`.
      teacher: the same shape.

    Returns:
      The loss `[B]`.

    Raises:
      ValueError: if the shapes differ (when traced).

    Reference: Romero et al., FitNets, ICLR 2015, the loss of hint-based training, which is a sum
      with a factor of 1/2 (https://arxiv.org/abs/1412.6550).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> transfer.fitnet(jnp.ones((2, 4, 4, 3)), 3.0 * jnp.ones((2, 4, 4, 3))).tolist()
      [4.0, 4.0]
    """
    if features.shape != teacher.shape or features.ndim < 2:
        raise ValueError(
            f"fitnet needs features [B, ...] of one shape, not {features.shape} and "
            f"{teacher.shape}: put a layer behind the student's"
        )
    errors = features - jax.lax.stop_gradient(teacher.astype(features.dtype))
    return jnp.square(errors).reshape(len(features), -1).mean(-1)
