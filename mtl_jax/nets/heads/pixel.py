"""A linear head at every pixel."""

import flax.linen as nn
import jax

from mtl_jax.core.head import Head
from mtl_jax.core.validation import require_int
from mtl_jax.nets.heads.features import require_features
from mtl_jax.nets.resize import require_size, resize


class Pixel(Head, nn.Module):
    """A 1x1 convolution, resized bilinearly, `[N, H', W', D] -> [N, H, W, C]`.

    Attributes:
      num_outputs: C.
      size: (H, W), that of the labels; None keeps the size of the map.

    Raises:
      BadInput: for a number below 1; when called, for features that are no map.

    Reference: Long et al., Fully Convolutional Networks for Semantic Segmentation, CVPR 2015,
      Section 3 (https://arxiv.org/abs/1411.4038), FCN-32s with fixed bilinear upsampling.

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> head, features = nets.heads.Pixel(13, size=(32, 48)), jax.numpy.zeros((2, 4, 6, 16))
      >>> outputs, _ = head.init_with_output(jax.random.key(0), features, train=False)
      >>> outputs.shape
      (2, 32, 48, 13)
    """

    num_outputs: int
    size: tuple[int, int] | None = None

    reads = ("map",)
    reads_positions = True

    def __post_init__(self):
        require_int(self, num_outputs=1)
        require_size(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, features: jax.Array, *, train: bool) -> jax.Array:
        """Maps a map to outputs of every pixel, or features of single pixels to theirs."""
        if features.ndim == 2 and not self.is_initializing():
            return nn.Dense(self.num_outputs)(features)
        require_features(self, features)
        return resize(nn.Dense(self.num_outputs)(features), self.size)
