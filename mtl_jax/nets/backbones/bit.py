"""BiT: residual networks with group norm and weight standardisation, for transfer."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import ResidualBlock
from mtl_jax.core.validation import require, require_int, require_widths
from mtl_jax.nets.backbones.block_groups import GroupedTrunk
from mtl_jax.nets.backbones.weight_standardization import StdConv


class BiT(GroupedTrunk):
    """ResNet-v2 of Big Transfer, `[N, H, W, C] -> [N, D]`.

    A stem and groups of bottlenecks `skip(x) + f(relu(norm(x)))`, of which the first has 4 w
    output channels and each later one doubles the channels and halves the image; followed by
    `relu(norm(x))` and the mean over the pixels. w is 64 times the width; with four groups D is
    32 w. Norms are group norms with epsilon 1e-5; they normalize each image separately, have no
    running statistics, and are the same in training and evaluation. Kernels are standardised
    at every use, see `standardize`. Sizes, for images of three channels:

    | name   | depths        | width | parameters  | with a head of 1000 |
    |--------|---------------|-------|-------------|---------------------|
    | R50x1  | (3, 4, 6, 3)  | 1     | 23,500,352  | 25,549,352          |
    | R50x3  | (3, 4, 6, 3)  | 3     | 211,174,080 | 217,319,080         |
    | R101x1 | (3, 4, 23, 3) | 1     | 42,492,480  | 44,541,480          |
    | R101x3 | (3, 4, 23, 3) | 3     | 381,789,888 | 387,934,888         |
    | R152x2 | (3, 8, 36, 3) | 2     | 232,238,208 | 236,335,208         |
    | R152x4 | (3, 8, 36, 3) | 4     | 928,340,224 | 936,533,224         |

    Kernels are initialized as in `nets.ResNet`. Their scale does not change the output, but the
    norm of their gradients is inversely proportional to it. `nets.LoRA` updates kernels before
    they are standardised; the scale of `nets.SSF` has therefore no effect on a kernel, but it has
    on a norm. There is no BatchNorm for `nets.StochNorm`. Pretrained weights:
    `nets.pretrained.GOOGLE_BIT`, `nets.pretrained.TIMM_BIT`.

    Attributes:
      depths: number of blocks in each group.
      width: width multiplier, relative to R50x1.
      groups: number of channel groups of a norm; must divide w.
      channels: w at a width of 1, for models smaller than the paper's.
      small_images: a stem of one 3x3 convolution, for images of about 32 pixels; else the paper's,
        a 7x7 convolution with stride 2 and a 3x3 max pool with stride 2.
      features: as in `ResNet`.

    Raises:
      BadInput: for a number below 1, no depths, or groups that do not divide w.

    Reference: Kolesnikov et al., Big Transfer, ECCV 2020, Section 2.1
      (https://arxiv.org/abs/1912.11370), and its code (github.com/google-research/big_transfer);
      He et al., Identity Mappings in Deep Residual Networks, ECCV 2016, for the blocks
      (https://arxiv.org/abs/1603.05027); Wu and He, Group Normalization, ECCV 2018
      (https://arxiv.org/abs/1803.08494).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.BiT(depths=(1, 1), groups=8), jax.numpy.zeros((2, 64, 64, 3))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 512)
    """

    depths: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 1
    groups: int = 32
    channels: int = 64
    small_images: bool = False

    def __post_init__(self):
        require_widths(self, "depths")
        require_int(self, width=1, groups=1, channels=1)
        first = self.width * self.channels
        require(first % self.groups == 0, self, "groups", f"must divide {first}", self.groups)
        super().__post_init__()

    @nn.nowrap
    def stem_and_groups(self) -> Sequence:
        """The stem, and the blocks of each group."""
        first = self.width * self.channels
        return RootBlock(first, self.small_images, parent=None), *(
            tuple(
                PreActivationBlock(
                    width=first * 2**group,
                    stride=2 if group and not i else 1,
                    groups=self.groups,
                    last=group == len(self.depths) - 1 and i == count - 1,
                    parent=None,
                )
                for i in range(count)
            )
            for group, count in enumerate(self.depths)
        )


class RootBlock(nn.Module):
    """The first convolution, `[N, H, W, C] -> [N, H', W', D]`.

    Attributes:
      width: number of channels D.
      small_images: whether the size is kept.
    """

    width: int
    small_images: bool

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to images."""
        if self.small_images:
            return conv(x, "conv", self.width, 3)
        x = conv(x, "conv", self.width, 7, 2)
        # Zero padding, which exceeds negative values at the border; the pool's own would be -inf.
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return nn.max_pool(x, (3, 3), (2, 2))


class PreActivationBlock(ResidualBlock, nn.Module):
    """A pre-activation residual block, `skip(x) + f(a)`, `[N, H, W, C] -> [N, H', W', D]`.

    a is `relu(norm(x))`; f is three convolutions, 1x1, 3x3 with the stride and 1x1, the latter two
    applied to the normalized and activated output of the previous one. The skip is x, or a 1x1
    convolution of a if the number of channels changes.

    Attributes:
      width: number of inner channels; D is 4 times as many.
      stride: stride of the block.
      groups: number of channel groups of a norm.
      last: whether the output is normalized and activated.
    """

    width: int
    stride: int
    groups: int
    last: bool

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, keep: jax.Array | None = None) -> jax.Array:
        """Maps images to images; with `keep` `[]`, f is scaled by `keep`, the skip is not."""
        out_width, groups = 4 * self.width, self.groups
        active = norm_relu(x, "norm1", groups)
        skip = x
        if x.shape[-1] != out_width:
            skip = conv(active, "project", out_width, 1, self.stride)
        inner = conv(active, "conv1", self.width, 1)
        inner = norm_relu(inner, "norm2", groups)
        inner = conv(inner, "conv2", self.width, 3, self.stride)
        inner = norm_relu(inner, "norm3", groups)
        inner = conv(inner, "conv3", out_width, 1)
        output = skip + (inner if keep is None else keep * inner)
        return norm_relu(output, "norm_end", groups) if self.last else output


def norm_relu(x: jax.Array, name: str, groups: int) -> jax.Array:
    """`relu(norm(x))`, with parameters of the calling module."""
    # The fast variance loses precision: features of R50x1 had an error of 2e-5 with it and of 1e-5
    # without, at the same speed on a CPU.
    return nn.relu(nn.GroupNorm(groups, epsilon=1e-5, use_fast_variance=False, name=name)(x))


def conv(x: jax.Array, name: str, width: int, size: int, stride: int = 1) -> jax.Array:
    """A convolution with a standardised kernel, with parameters of the calling module."""
    # Symmetric padding, as pretrained weights expect; SAME is asymmetric with a stride.
    return StdConv(
        width,
        (size, size),
        (stride, stride),
        ((size // 2, size // 2),) * 2,
        use_bias=False,
        kernel_init=nn.initializers.he_normal(),
        name=name,
    )(x)
