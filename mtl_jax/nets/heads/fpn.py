"""Heads over maps of several strides, by a feature pyramid network."""

import math

import flax.linen as nn
import jax

from mtl_jax.core.features import Pyramid
from mtl_jax.core.head import Head
from mtl_jax.core.validation import require_int
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.heads.features import require_features
from mtl_jax.nets.resize import require_size, resize

INIT = nn.initializers.he_normal()


class FPN(Head, nn.Module):
    """A feature pyramid network, maps of strides `s_k` to `[N, H, W, C]`.

    `m_k = lateral_k(c_k) + up(m_k+1)`, with 1x1 convolutions and resizing to the nearest pixel,
    and `p_k = conv3x3(m_k)`. Group-normed and activated, all p_k are resized to the finest one and
    summed, followed by a 1x1 convolution to C channels and bilinear resizing. The head of Panoptic
    FPN has a further 3x3 convolution for each doubling of the resolution.

    Attributes:
      num_outputs: C.
      size: (H, W), that of the labels; None keeps the size of the finest map.
      width: number of channels of m_k and p_k.

    Raises:
      BadInput: for a number below 1; when called, for features that are no pyramid.

    Reference: Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017, Section 3
      (https://arxiv.org/abs/1612.03144); Kirillov et al., Panoptic Feature Pyramid Networks,
      CVPR 2019, Section 3.1 (https://arxiv.org/abs/1901.02446).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> from mtl_jax.core.features import Pyramid
      >>> head = nets.heads.FPN(13, size=(32, 48), width=8)
      >>> maps = jax.numpy.zeros((2, 8, 12, 16)), jax.numpy.zeros((2, 4, 6, 32))
      >>> features = Pyramid(maps)
      >>> outputs, _ = head.init_with_output(jax.random.key(0), features, train=False)
      >>> outputs.shape
      (2, 32, 48, 13)
    """

    num_outputs: int
    size: tuple[int, int] | None = None
    width: int = 256

    reads = ("pyramid",)

    def __post_init__(self):
        require_int(self, num_outputs=1, width=1)
        require_size(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, features: Pyramid, *, train: bool) -> jax.Array:
        """Maps a pyramid to outputs of every pixel."""
        require_features(self, features)
        maps = TopDown(self.width, name="pyramid")(features).maps
        groups = math.gcd(32, self.width)
        normed = [nn.relu(nn.GroupNorm(groups, name=f"norm{k}")(x)) for k, x in enumerate(maps)]
        x = sum((resize(each, normed[0].shape[1:3]) for each in normed[1:]), normed[0])
        return resize(nn.Dense(self.num_outputs, name="outputs")(x), self.size)


class TopDown(nn.Module):
    """The maps p_k of a feature pyramid network, all of one width.

    Attributes:
      width: number of channels.
    """

    width: int

    @nn.compact
    def __call__(self, features: Pyramid) -> Pyramid:
        """Maps a pyramid to one of equally many maps."""
        merged = []
        for k, x in reversed([*enumerate(features.maps)]):
            x = nn.Dense(self.width, kernel_init=INIT, name=f"lateral{k}")(x)
            if merged:
                x = x + jax.image.resize(merged[-1], x.shape, "nearest")
            merged.append(x)
        convolutions = (
            Conv(self.width, (3, 3), kernel_init=INIT, name=f"output{k}")(x)
            for k, x in enumerate(reversed(merged))
        )
        return Pyramid(tuple(convolutions))
