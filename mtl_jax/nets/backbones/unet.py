"""U-Net: an encoder and a decoder with skip connections at every resolution."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import Trunk
from mtl_jax.core.validation import require, require_widths
from mtl_jax.nets.backbones.cnn import conv_norm_relu
from mtl_jax.nets.resize import resize


class UNet(Trunk, nn.Module):
    """U-Net, `[N, H, W, C] -> [N, H, W, D]`.

    Each level is two times `relu(norm(conv3x3(x)))`. The encoder halves the image between levels
    by a 2x2 max pool; the decoder resizes its map to that of the level above, appends it to the
    channels of the encoder there, and applies two convolutions of that level's width.

    Unlike the paper, convolutions keep the size and are normalized, and upsampling is bilinear
    instead of a 2x2 up-convolution, so that sides need not be multiples of a power of two.

    Attributes:
      widths: channels of each level, from the finest, whose number is D, to the coarsest.

    Raises:
      BadInput: for no levels or a width below 1; when called, for images smaller than one pixel
        of the coarsest level.

    Reference: Ronneberger et al., U-Net, MICCAI 2015, Figure 1
      (https://arxiv.org/abs/1505.04597).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.UNet((8, 16, 32)), jax.numpy.zeros((2, 30, 45, 3))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 30, 45, 8)
    """

    widths: tuple[int, ...] = (16, 32, 64, 128)

    convolutional = True

    def __post_init__(self):
        require_widths(self, "widths")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to a map of the same size."""
        least = 2 ** (len(self.widths) - 1)
        valid = x.ndim == 4 and min(x.shape[1:3]) >= least
        rule = f"must be images [N, H, W, C] of at least {least} x {least} pixels"
        require(valid, self, "x", rule, x.shape)
        skips = []
        for level, width in enumerate(self.widths):
            x = nn.max_pool(x, (2, 2), (2, 2)) if level else x
            x = Level(width, name=f"encoder{level}")(x, train=train)
            skips.append(x)
        for level in reversed(range(len(self.widths) - 1)):
            x = jnp.concatenate([skips[level], resize(x, skips[level].shape[1:3])], -1)
            x = Level(self.widths[level], name=f"decoder{level}")(x, train=train)
        return x


class Level(nn.Module):
    """Two convolutions, `[N, H, W, C] -> [N, H, W, D]`.

    Attributes:
      width: number of channels D.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps a map to a map."""
        for _ in range(2):
            x = conv_norm_relu(x, self.width, 1, True, train)
        return x
