"""Residual networks."""

from collections.abc import Iterator, Sequence

import flax.linen as nn
import jax

from mtl_jax.core.trunk import ResidualBlock
from mtl_jax.core.validation import require, require_choice, require_int
from mtl_jax.nets.backbones.block_groups import GroupedTrunk
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.backbones.norm import BatchNorm

# Blocks of each group, and whether they are bottlenecks.
DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
}


class ResNet(GroupedTrunk):
    """ResNet of 18, 34, 50 or 101 layers, `[N, H, W, C] -> [N, D]`.

    A stem and four groups of residual blocks `relu(skip(x) + f(x))`, of w, 2w, 4w and 8w
    channels; the first block of every group but the first halves the image. D is 8w, for
    depths 50 and 101 32w. The features are the mean over the pixels. Bottlenecks have the stride in
    their 3x3 convolution, not in the first 1x1 one as in the paper.

    Norms have epsilon 1e-5 and momentum 0.9 in Flax's convention, PyTorch's usual 0.1: running
    statistics are multiplied by 0.9 per step. Flax's running variances are those of the batch,
    PyTorch's are `n / (n - 1)` times as large.

    Attributes:
      depth: 18, 34, 50 or 101.
      small_images: a stem of one 3x3 convolution, for images of about 32 pixels; else a 7x7
        convolution with stride 2 and a 3x3 max pool with stride 2, for about 224.
      width: number of channels w of the first group.
      widen: width multiplier of the inner channels of bottlenecks, None being 1; their output
        width does not change. PyTorch's `wide_resnet50_2` has 2.
      output_stride: side of the image divided by that of the last map, 8 or 16 for dense tasks;
        None leaves 32, for small images 8. Groups beyond it have dilated convolutions instead
        of strides, as with torchvision's `replace_stride_with_dilation`: parameters are the same.
      features: "vector", which is also None; "map", the output of the last group; or "pyramid",
        the last outputs of the groups at each resolution.

    Raises:
      BadInput: for another depth, stride or type of features, a width or `widen` below 1, or
        `widen` without bottlenecks.

    Reference: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, Table 1
      (https://arxiv.org/abs/1512.03385); Zagoruyko and Komodakis, Wide Residual Networks, BMVC
      2016, for `widen` (https://arxiv.org/abs/1605.07146); Chen et al., DeepLab, TPAMI 2018,
      Section 3.1, for `output_stride` (https://arxiv.org/abs/1606.00915).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.ResNet(18), jax.numpy.zeros((2, 32, 32, 3))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 512)
    """

    depth: int = 18
    small_images: bool = True
    width: int = 64
    widen: int | None = None
    output_stride: int | None = None

    def __post_init__(self):
        require_choice(self, depth=tuple(DEPTHS))
        stem = 1 if self.small_images else 4
        require_choice(self, output_stride=(None, stem, 2 * stem, 4 * stem, 8 * stem))
        require_int(self, width=1)
        if self.widen is not None:
            require_int(self, widen=1)
            rule = "needs bottlenecks, a depth of 50 or 101,"
            require(DEPTHS[self.depth][1], self, "widen", rule, self.widen)
        super().__post_init__()

    @nn.nowrap
    def stem_and_groups(self) -> Sequence:
        """The stem, and the blocks of each group."""
        counts, bottleneck = DEPTHS[self.depth]
        return Stem(self.width, self.small_images, parent=None), *(
            tuple(
                Block(
                    width=self.width * 2**group,
                    stride=1 if i else stride,
                    bottleneck=bottleneck,
                    widen=self.widen or 1,
                    rates=(rate if i else previous_rate, rate),
                    parent=None,
                )
                for i in range(count)
            )
            for group, (count, (stride, previous_rate, rate)) in enumerate(
                zip(counts, self.strides_and_rates(), strict=True)
            )
        )

    @nn.nowrap
    def strides_and_rates(self) -> Iterator[tuple[int, int, int]]:
        """For each group its stride, and the dilation rates before and after it."""
        stem = 1 if self.small_images else 4
        most = (self.output_stride or 8 * stem) // stem
        yield 1, 1, 1
        for total in (2, 4, 8):
            yield (2, 1, 1) if total <= most else (1, total // most // 2, total // most)


class Stem(nn.Module):
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
        size, stride = (3, 1) if self.small_images else (7, 2)
        x = nn.relu(conv_norm(x, self.width, size, stride, train))
        if self.small_images:
            return x
        return nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))


class Block(ResidualBlock, nn.Module):
    """A residual block, `relu(skip(x) + f(x))`, `[N, H, W, C] -> [N, H', W', D]`.

    f is two 3x3 convolutions, or 1x1, 3x3 and 1x1 in a bottleneck, each normalized; the skip is
    the input, or a normalized 1x1 convolution if the shape changes.

    Attributes:
      width: number of channels; D is 4 times as many in a bottleneck.
      stride: stride of the block.
      bottleneck: whether f is a bottleneck.
      widen: width multiplier of the inner channels of a bottleneck.
      rates: dilation rates of the first and the second 3x3 convolution; a bottleneck has one.
    """

    width: int
    stride: int
    bottleneck: bool
    widen: int = 1
    rates: tuple[int, int] = (1, 1)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, keep: jax.Array | None = None) -> jax.Array:
        """Maps images to images; with `keep` `[]`, to `keep * block + (1 - keep) * skip`."""
        out_width, stride = self.width * (4 if self.bottleneck else 1), self.stride
        inner_width = self.width * self.widen
        first, second = self.rates
        convolutions = (
            ((inner_width, 1, 1, 1), (inner_width, 3, stride, first), (out_width, 1, 1, 1))
            if self.bottleneck
            else ((self.width, 3, stride, first), (out_width, 3, 1, second))
        )
        inner = x
        for i, (width, size, step, rate) in enumerate(convolutions):
            inner = conv_norm(nn.relu(inner) if i else inner, width, size, step, train, rate)
        skip = x if x.shape == inner.shape else conv_norm(x, out_width, 1, stride, train)
        output = nn.relu(skip + inner)
        return output if keep is None else keep * output + (1.0 - keep) * skip


def conv_norm(
    x: jax.Array, width: int, size: int, stride: int, train: bool, rate: int = 1
) -> jax.Array:
    """`norm(conv(x))`, with parameters of the calling module."""
    # Symmetric padding, as pretrained weights expect; SAME is asymmetric with a stride.
    pad = ((rate * (size // 2),) * 2,) * 2
    init = nn.initializers.he_normal()
    conv = Conv(
        width,
        (size, size),
        (stride, stride),
        pad,
        kernel_dilation=(rate, rate),
        use_bias=False,
        kernel_init=init,
    )
    x = conv(x)
    return BatchNorm()(x, use_running_average=not train)
