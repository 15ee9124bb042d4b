"""SegNet: an encoder, and a decoder that puts values back where the max pools took them from."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import Trunk
from mtl_jax.core.validation import require, require_widths
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.backbones.norm import BatchNorm

WIDTHS = (64, 128, 256, 512, 512)


class SegNet(Trunk, nn.Module):
    """SegNet, `[N, H, W, C] -> [N, H, W, D]`.

    Each level of the encoder is two, from the third on three times `relu(norm(conv3x3(x) + b))`,
    then a 2x2 max pool. The levels of the decoder, from the coarsest, put each value back to the
    pixel that the pool of this level took it from, the others being 0, and apply as many
    convolutions, to the width of the level above. It is the network of MTAN's authors for NYUv2
    and Cityscapes, whose last map has the D = 64 channels of the first level; the paper has two
    convolutions more and a classifier on top. Kernels are initialized from Glorot's normal
    distribution.

    Attributes:
      widths: channels of each level of the encoder; the first is D.

    Raises:
      BadInput: for no levels or a width below 1; when called, for images smaller than one pixel
        after the last pool.

    Reference: Badrinarayanan et al., SegNet, TPAMI 2017, Section 3
      (https://arxiv.org/abs/1511.00561); Liu et al., MTAN, CVPR 2019, Section 4, and its code
      (github.com/lorenmt/mtan).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.SegNet((8, 16)), jax.numpy.zeros((2, 30, 45, 3))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 30, 45, 8)
    """

    widths: tuple[int, ...] = WIDTHS

    convolutional = True

    def __post_init__(self):
        require_widths(self, "widths")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to a map of the same size."""
        return segnet_levels(self, x, train)[-1].last


class Level(NamedTuple):
    """Maps of a level of the encoder or the decoder, `[N, H, W, ...]`."""

    inputs: jax.Array
    first: jax.Array  # After the first convolution.
    last: jax.Array  # After the last one, in an encoder before the pool.


def segnet_levels(owner: Any, x: jax.Array, train: bool) -> list[Level]:
    """The levels of the encoder and of the decoder, in order; modules are those of the owner."""
    widths = owner.widths
    least = 2 ** len(widths)
    valid = x.ndim == 4 and min(x.shape[1:3]) >= least
    rule = f"must be images [N, H, W, C] of at least {least} x {least} pixels"
    require(valid, owner, "x", rule, x.shape)

    def apply(name, width, level, x):
        return Convolutions(width, 3 if level > 1 else 2, name=f"{name}{level}")(x, train=train)

    levels, indices = [], []
    for level, width in enumerate(widths):
        levels.append(apply("encoder", width, level, x))
        x, index = max_pool_with_index(levels[-1].last)
        indices.append(index)
    for level in reversed(range(len(widths))):
        x = max_unpool(x, indices[level], levels[level].last.shape[1:3])
        levels.append(apply("decoder", widths[max(level - 1, 0)], level, x))
        x = levels[-1].last
    return levels


class Convolutions(nn.Module):
    """Convolutions `relu(norm(conv3x3(x) + b))`, `[N, H, W, C] -> [N, H, W, D]`.

    Attributes:
      width: number of channels D.
      depth: number of convolutions.
    """

    width: int
    depth: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> Level:
        """Maps a map to the first and the last one."""
        outputs = [x]
        for _ in range(self.depth):
            conv = Conv(self.width, (3, 3), kernel_init=nn.initializers.glorot_normal())
            outputs.append(nn.relu(BatchNorm()(conv(outputs[-1]), use_running_average=not train)))
        return Level(x, outputs[1], outputs[-1])


def max_pool_with_index(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A 2x2 max pool of `[N, H, W, C]`, and the place 0 to 3 of each value in its window.

    A last odd row or column is left out. Of equal values, the first is taken, and has all of the
    gradient, as in PyTorch.
    """
    height, width = x.shape[1] // 2, x.shape[2] // 2
    windows = x[:, : 2 * height, : 2 * width].reshape(x.shape[0], height, 2, width, 2, -1)
    windows = windows.transpose(0, 1, 3, 2, 4, 5).reshape(x.shape[0], height, width, 4, -1)
    index = jax.lax.stop_gradient(windows).argmax(3)
    return jnp.where(is_place(index), windows, 0.0).sum(3), index


def max_unpool(x: jax.Array, index: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Values `[N, h, w, C]` at their places in maps `[N, H, W, C]` of zeros."""
    batch, height, width, channels = x.shape
    windows = jnp.where(is_place(index), x[..., None, :], 0.0)
    windows = windows.reshape(batch, height, width, 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    x = windows.reshape(batch, 2 * height, 2 * width, channels)
    pads = ((0, 0), (0, size[0] - 2 * height), (0, size[1] - 2 * width), (0, 0))
    return jnp.pad(x, pads)


def is_place(index: jax.Array) -> jax.Array:
    """Whether each place of a window is the given one, `[N, h, w, C] -> [N, h, w, 4, C]`."""
    return index[..., None, :] == jnp.arange(4)[None, None, None, :, None]
