"""Residual networks."""

import itertools
from collections.abc import Sequence

import flax.linen as nn
import jax

from mtl_jax.core.validation import require, require_choice, require_count
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.backbones.norm import BatchNorm
from mtl_jax.nets.backbones.stages import averaged, hung, in_order

# Blocks of each group, and whether they are bottlenecks.
DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
}


class ResNet(nn.Module):
    """ResNet of 18, 34, 50 or 101 layers, `[N, H, W, C] -> [N, D]`.

    A stem and four groups of residual blocks `relu(skip(x) + f(x))`, of w, 2w, 4w and 8w
    channels; the first block of every group but the first halves the image. D is 8w, of
    depths 50 and 101 32w. The features are the mean over the pixels. Bottlenecks stride in their
    3x3 convolution, not in the first 1x1 one as in the paper.

    Norms have epsilon 1e-5 and momentum 0.9 in Flax's sense, PyTorch's usual 0.1: running
    statistics keep 0.9 of themselves at a step. Flax's running variances are those of the batch,
    PyTorch's are `n / (n - 1)` times as large.

    Attributes:
      depth: 18, 34, 50 or 101.
      small_images: a stem of one 3x3 convolution, for images of about 32 pixels; else one of
        7x7 with stride 2 and a 3x3 max pool with stride 2, for about 224.
      width: channels w of the first group.
      widen: how many times as wide bottlenecks are inside, None being 1; of what they give the
        width stays. PyTorch's `wide_resnet50_2` has 2.

    Raises:
      BadInput: for another depth, a width or `widen` below 1, or `widen` without bottlenecks.

    Reference: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, Table 1
      (https://arxiv.org/abs/1512.03385); Zagoruyko and Komodakis, Wide Residual Networks, BMVC
      2016, for `widen` (https://arxiv.org/abs/1605.07146).
    """

    depth: int = 18
    small_images: bool = True
    width: int = 64
    widen: int | None = None

    convolutional = True

    def __post_init__(self):
        require_choice(self, depth=tuple(DEPTHS))
        require_count(self, width=1)
        if self.widen is not None:
            require_count(self, widen=1)
            rule = "needs bottlenecks, a depth of 50 or 101,"
            require(DEPTHS[self.depth][1], self, "widen", rule, self.widen)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images `[N, H, W, C]` to features `[N, D]`."""
        return self.pool(in_order(self, self.stages(), x, train))

    @nn.nowrap
    def stages(self) -> tuple[nn.Module, ...]:
        """The stem and the groups, as modules `(x, train) -> x` of their own parameters."""
        return in_groups(*self.parted())

    @nn.nowrap
    def blocks(self) -> tuple[nn.Module, ...]:
        """The stem and the residual blocks, the finest stages that the trunk has."""
        return in_blocks(*self.parted())

    @nn.nowrap
    def pool(self, x: jax.Array) -> jax.Array:
        """Maps what the last stage gives `[N, H, W, D]` to features `[N, D]`."""
        return averaged(x)

    @nn.nowrap
    def parted(self) -> Sequence:
        """The stem, and the blocks of each group."""
        counts, bottleneck = DEPTHS[self.depth]
        plan = {"bottleneck": bottleneck, "widen": self.widen or 1, "parent": None}
        return Stem(self.width, self.small_images, parent=None), *(
            tuple(
                Block(self.width * 2**group, 2 if group and not at else 1, **plan)
                for at in range(count)
            )
            for group, count in enumerate(counts)
        )


def in_groups(stem: nn.Module, *groups: Sequence[nn.Module]) -> tuple[nn.Module, ...]:
    """A stem, and the blocks of each group as one module."""
    return stem, *(Group(group, parent=None) for group in groups)


def in_blocks(stem: nn.Module, *groups: Sequence[nn.Module]) -> tuple[nn.Module, ...]:
    """A stem, and the blocks of all groups."""
    return stem, *itertools.chain(*groups)


class Stem(nn.Module):
    """The first convolution, `[N, H, W, C] -> [N, H', W', D]`.

    Attributes:
      width: channels D.
      small_images: whether the size is kept.
    """

    width: int
    small_images: bool

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to images."""
        size, stride = (3, 1) if self.small_images else (7, 2)
        x = nn.relu(normed(x, self.width, size, stride, train))
        if self.small_images:
            return x
        return nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))


class Group(nn.Module):
    """Residual blocks one after the other, `[N, H, W, C] -> [N, H', W', D]`.

    Attributes:
      blocks: unbound modules.
    """

    blocks: tuple[nn.Module, ...]

    @property
    def divided(self) -> bool:
        """Whether a block comes before the last one."""
        return len(self.blocks) > 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, before: bool = False):
        """Maps images to images; with `before`, to what the last block reads and gives."""
        for at, block in enumerate(self.blocks):
            read = x
            x = hung(self, block, f"block{at}")(x, train=train)
        return (read, x) if before else x


class Block(nn.Module):
    """A residual block, `relu(skip(x) + f(x))`, `[N, H, W, C] -> [N, H', W', D]`.

    f is two 3x3 convolutions, or 1x1, 3x3 and 1x1 of a bottleneck, each normalised; the skip is
    the input, or a normalised 1x1 convolution where the shape changes.

    Attributes:
      width: channels; D is 4 times as many in a bottleneck.
      stride: of the block.
      bottleneck: which f.
      widen: how many times as wide a bottleneck is inside.
    """

    width: int
    stride: int
    bottleneck: bool
    widen: int = 1

    residual = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, keep: jax.Array | None = None) -> jax.Array:
        """Maps images to images; with `keep` `[]`, `keep` of the block and the rest of its skip."""
        wide, stride = self.width * (4 if self.bottleneck else 1), self.stride
        within = self.width * self.widen
        plan = (
            ((within, 1, 1), (within, 3, stride), (wide, 1, 1))
            if self.bottleneck
            else ((self.width, 3, stride), (wide, 3, 1))
        )
        inner = x
        for at, (width, size, step) in enumerate(plan):
            inner = normed(nn.relu(inner) if at else inner, width, size, step, train)
        skip = x if x.shape == inner.shape else normed(x, wide, 1, stride, train)
        whole = nn.relu(skip + inner)
        return whole if keep is None else keep * whole + (1.0 - keep) * skip


def normed(x: jax.Array, width: int, size: int, stride: int, train: bool) -> jax.Array:
    """`norm(conv(x))`, with parameters of the module that calls it."""
    # Padded alike on both sides, as weights trained elsewhere expect; SAME is not, with a stride.
    pad = ((size // 2, size // 2),) * 2
    init = nn.initializers.he_normal()
    x = Conv(width, (size, size), (stride, stride), pad, use_bias=False, kernel_init=init)(x)
    return BatchNorm()(x, use_running_average=not train)
