"""EfficientNet-Lite: inverted bottlenecks with depthwise convolutions."""

import itertools
import math
from collections.abc import Iterator
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.features import Pyramid
from mtl_jax.core.trunk import StagedTrunk
from mtl_jax.core.validation import require_choice
from mtl_jax.nets.backbones.block_groups import Group
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.backbones.stages import bind, pool_features, pyramid

SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}  # Of width and depth.
# For each group: blocks, kernel size, stride of the first block, expansion, channels.
GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, LAST = 32, 1280


class EfficientNetLite(StagedTrunk, nn.Module):
    """EfficientNet-Lite 0, 1 or 2, `[N, H, W, C] -> [N, 1280]`.

    A 3x3 convolution with stride 2 to 32 channels, seven groups of inverted bottlenecks, a 1x1
    convolution to 1280 channels, and the mean over the pixels. EfficientNet without its
    squeeze-and-excite layers and with relu6, `min(max(x, 0), 6)`, instead of swish. Channels
    are scaled and rounded to multiples of 8, depths scaled and rounded up, except for the stem, the
    last convolution, and the depths of the first and last groups. Convolutions pad as in
    TensorFlow. Norms have epsilon 1e-3 and momentum 0.99 in the convention of Flax and TensorFlow.
    Images are downsampled by two five times.

    | version | width | depth | pixels | parameters | with a head of 1000 |
    |---------|-------|-------|--------|------------|---------------------|
    | 0       | 1.0   | 1.0   | 224    | 3,371,008  | 4,652,008           |
    | 1       | 1.0   | 1.1   | 240    | 4,135,680  | 5,416,680           |
    | 2       | 1.1   | 1.2   | 260    | 4,811,072  | 6,092,072           |

    Kernels are initialized from `N(0, 2 / (k k out))`, depthwise ones from `N(0, 2 / (k k))`, as in
    the authors' code. The stochastic depth (0.2) and dropout (0.2 to 0.3) of their training are
    omitted. Pretrained weights: `nets.pretrained.EFFICIENTNET_LITE0` and similar.

    Attributes:
      version: 0, 1 or 2.
      features: "vector", which is also None; "map", the output of the last convolution; or
        "pyramid", the last outputs of strides 4, 8, 16 and 32.

    Raises:
      BadInput: for another version or type of features.

    Reference: Tan and Le, EfficientNet, ICML 2019, Table 1 and Section 3
      (https://arxiv.org/abs/1905.11946); the authors' description of Lite
      (github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.EfficientNetLite(0), jax.numpy.zeros((2, 224, 224, 3))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 1280)
    """

    version: int = 0
    features: Literal["vector", "map", "pyramid"] | None = None

    convolutional = True

    def __post_init__(self):
        require_choice(self, version=tuple(SCALES))
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array | Pyramid:
        """Maps images `[N, H, W, C]` to features `[N, 1280]`, a map or a pyramid."""
        stem, *groups, last = self.stem_and_groups()
        x = bind(self, stem, "stem")(x, train=train)
        outputs = []
        for i, block in enumerate(itertools.chain(*groups)):
            x = bind(self, block, f"block{i}")(x, train=train)
            outputs.append(x)
        x = bind(self, last, "last")(x, train=train)
        if self.features == "pyramid":
            return pyramid([*outputs[len(groups[0]) :], x])
        return self.pool(x)

    @nn.nowrap
    def stages(self) -> tuple[nn.Module, ...]:
        """The stem, the groups and the last convolution, as modules `(x, train) -> x`."""
        stem, *groups, last = self.stem_and_groups()
        return stem, *(Group(group, parent=None) for group in groups), last

    @nn.nowrap
    def pool(self, x: jax.Array) -> jax.Array:
        """Maps the output of the last stage `[N, H, W, D]` to features, a vector or a map."""
        return pool_features(self, x)

    @nn.nowrap
    def stem_and_groups(self) -> Iterator:
        """The stem, the blocks of each group, and the last convolution."""
        width_scale, depth_scale = SCALES[self.version]
        yield ConvNorm(STEM, 3, 2, parent=None)
        for group, (count, size, stride, expansion, width) in enumerate(GROUPS):
            scaled = 0 < group < len(GROUPS) - 1
            yield tuple(
                InvertedBottleneck(
                    round_channels(width_scale * width),
                    size,
                    1 if i else stride,
                    expansion,
                    parent=None,
                )
                for i in range(math.ceil(depth_scale * count) if scaled else count)
            )
        yield ConvNorm(LAST, 1, 1, parent=None)


def round_channels(width: float) -> int:
    """The nearest multiple of 8, or the next one if that is smaller by a tenth or more."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


class ConvNorm(nn.Module):
    """A convolution with norm and relu6, `[N, H, W, C] -> [N, H', W', D]`.

    Attributes:
      width: number of channels D.
      size: kernel size.
      stride: stride of the convolution.
    """

    width: int
    size: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to images."""
        return relu6(conv_norm(x, "conv", self.width, self.size, self.stride, train))


class InvertedBottleneck(nn.Module):
    """An inverted bottleneck, `[N, H, W, C] -> [N, H', W', D]`.

    A 1x1 convolution that multiplies the channels by `expansion` (omitted for 1), a depthwise
    convolution, each with norm and relu6, and a normalized 1x1 convolution to D channels; the
    input is added if it has the same shape.

    Attributes:
      width: number of channels D.
      size: kernel size.
      stride: stride of the block.
      expansion: expansion factor.
    """

    width: int
    size: int
    stride: int
    expansion: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to images."""
        inner, inner_width = x, x.shape[-1] * self.expansion
        if self.expansion > 1:
            inner = relu6(conv_norm(inner, "expand", inner_width, 1, 1, train))
        inner = relu6(
            conv_norm(inner, "depthwise", inner_width, self.size, self.stride, train, inner_width)
        )
        inner = conv_norm(inner, "project", self.width, 1, 1, train)
        return x + inner if x.shape == inner.shape else inner


def conv_norm(
    x: jax.Array, name: str, width: int, size: int, stride: int, train: bool, groups: int = 1
) -> jax.Array:
    """`norm(conv(x))`, with parameters of the calling module."""
    mode = "fan_out" if groups == 1 else "fan_in"
    init = nn.initializers.variance_scaling(2.0, mode, "normal")
    conv = Conv(
        width,
        (size, size),
        (stride, stride),
        use_bias=False,
        feature_group_count=groups,
        kernel_init=init,
        name=name,
    )
    norm = nn.BatchNorm(momentum=0.99, epsilon=1e-3, name=f"{name}_norm")
    return norm(conv(x), use_running_average=not train)


def relu6(x: jax.Array) -> jax.Array:
    """`min(max(x, 0), 6)`."""
    return jnp.clip(x, 0.0, 6.0)
