"""The prediction layers of MTAN's SegNet."""

import flax.linen as nn
import jax

from mtl_jax.core.head import Head
from mtl_jax.core.validation import require_int
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.heads.features import require_features

INIT = nn.initializers.glorot_normal()


class SegNetHead(Head, nn.Module):
    """A 3x3 and a 1x1 convolution, `[N, H, W, D] -> [N, H, W, C]`.

    Both have a bias, the first keeps the number of channels, and nothing stands between them, as
    in the authors' code. Kernels are initialized from Glorot's normal distribution.

    Attributes:
      num_outputs: C.

    Raises:
      BadInput: for a number below 1; when called, for features that are no map.

    Reference: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR
      2019 (https://arxiv.org/abs/1803.10704), its code (github.com/lorenmt/mtan,
      im2im_pred/model_segnet_mtan.py).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> head, features = nets.heads.SegNetHead(13), jax.numpy.zeros((2, 8, 6, 16))
      >>> outputs, _ = head.init_with_output(jax.random.key(0), features, train=False)
      >>> outputs.shape
      (2, 8, 6, 13)
    """

    num_outputs: int

    reads = ("map",)

    def __post_init__(self):
        require_int(self, num_outputs=1)
        super().__post_init__()

    @nn.compact
    def __call__(self, features: jax.Array, *, train: bool) -> jax.Array:
        """Maps a map to outputs of every pixel."""
        require_features(self, features)
        x = Conv(features.shape[-1], (3, 3), kernel_init=INIT)(features)
        return nn.Dense(self.num_outputs, kernel_init=INIT)(x)
