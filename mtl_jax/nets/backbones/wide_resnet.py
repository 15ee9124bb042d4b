"""Wide residual networks for semi-supervised learning."""

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax

from mtl_jax.core.trunk import ResidualBlock
from mtl_jax.core.validation import require, require_choice, require_int
from mtl_jax.nets.backbones.block_groups import GroupedTrunk
from mtl_jax.nets.backbones.fast_conv import Conv

STEM = 16


class WideResNet(GroupedTrunk):
    """WideResNet of FixMatch and related methods, `[N, H, W, C] -> [N, D]`.

    A 3x3 convolution to 16 channels, and groups of n residual blocks `skip(x) + f(x)` of 16 w,
    32 w, 64 w, ... channels; the first block of every group but the first halves the image. A
    block applies `act = leaky_relu(norm(x))`, with negative slope 0.1, to the input of f; only the
    very first one applies it to the input of its skip too. The features are the mean over the
    pixels of `act` of the last block's output; D is 64 w for three groups. Depth counts
    convolutions, including those of the skips: `1 + groups (2 n + 1)`.

    Norms have epsilon 1e-3 and momentum 0.999 in the convention of Flax and TensorFlow (running
    statistics are multiplied by 0.999; PyTorch calls that 0.001). Kernels of k x k are initialized
    from `N(0, 2 / (k k out))`. The papers' heads are Glorot normal, those of `make_model` are not.
    Sizes, for images of three channels:

    | depth, width, groups | parameters | with a head of 10 | without biases | with a head of 10 |
    |----------------------|------------|-------------------|----------------|-------------------|
    | 28, 2, 3             | 1,468,352  | 1,469,642         | 1,466,320      | 1,467,610         |
    | 28, 8, 3             | 23,357,792 | 23,362,922        | 23,349,712     | 23,354,842        |
    | 37, 2, 4             | 5,931,200  | 5,933,770         | 5,926,864      | 5,929,434         |

    FixMatch uses 28-2 for CIFAR-10 and SVHN, 28-8 for CIFAR-100. For STL-10 it reports 37-2 with
    23.8 million parameters, but this is the size with five groups (depth 46), which its code
    builds for images of 96 pixels; 37-2 of TorchSSL and USB has four groups, and also halves the
    image in the first. There, the first blocks of later groups apply f without its first
    activation.

    Attributes:
      depth: number of convolutions.
      width: w.
      groups: number of groups of blocks.
      bias: whether convolutions have a bias, as FixMatch's and TorchSSL's do; USB's have none
        except in the stem.
      variant: the implementation whose details the model follows, for weights trained with it;
        None is FixMatch's. In TorchSSL and USB, convolutions with a stride have symmetric padding,
        and the first blocks of later groups apply f without its first activation. In USB (commit
        5d09751; later ones differ) the stem has a bias even without `bias`, and epsilon is 1e-5
        except in the very last norm.
      features: as in `ResNet`.

    Raises:
      BadInput: for a number below 1, a depth that does not match the groups, or with `variant` a
        width of 1 or a number of groups other than three.

    Reference: Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016, Table 1
      (https://arxiv.org/abs/1605.07146); Sohn et al., FixMatch, NeurIPS 2020, Section 4
      (https://arxiv.org/abs/2001.07685), and its code (github.com/google-research/fixmatch,
      libml/models.py).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.WideResNet(28, 2), jax.numpy.zeros((2, 32, 32, 3))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 128)
    """

    depth: int = 28
    width: int = 2
    groups: int = 3
    bias: bool = True
    variant: Literal["TorchSSL", "USB"] | None = None

    def __post_init__(self):
        require_int(self, depth=4, width=1, groups=1)
        require_choice(self, variant=(None, "TorchSSL", "USB"))
        valid = self.variant is None or (self.width > 1 and self.groups == 3)
        require(valid, self, "variant", "needs a width above 1 and three groups", self.variant)
        rule = f"must be 1 + groups (2 n + 1) with {self.groups} groups, as 28 with 3, 37 with 4"
        n, rest = divmod(self.depth - 1 - self.groups, 2 * self.groups)
        require(n >= 1 and rest == 0, self, "depth", rule, self.depth)
        super().__post_init__()

    @nn.nowrap
    def stem_and_groups(self) -> Sequence:
        """The stem, and the blocks of each group."""
        count = (self.depth - 1 - self.groups) // (2 * self.groups)
        torch_padding, usb = self.variant is not None, self.variant == "USB"
        return WideStem(self.bias or usb, parent=None), *(
            tuple(
                WideBlock(
                    width=STEM * self.width * 2**group,
                    stride=2 if group and not i else 1,
                    bias=self.bias,
                    first=not group and not i,
                    last=group == self.groups - 1 and i == count - 1,
                    omit_activation=bool(torch_padding and group and not i),
                    torch_padding=torch_padding,
                    epsilon=1e-5 if usb else 1e-3,
                    parent=None,
                )
                for i in range(count)
            )
            for group in range(self.groups)
        )


class WideStem(nn.Module):
    """The first convolution, `[N, H, W, C] -> [N, H, W, 16]`.

    Attributes:
      bias: whether it has a bias.
    """

    bias: bool

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to images."""
        return conv(x, STEM, 3, 1, self.bias)


class WideBlock(ResidualBlock, nn.Module):
    """A residual block, `skip(x) + f(x)`, `[N, H, W, C] -> [N, H', W', D]`.

    f is two 3x3 convolutions, each after an activation; the skip is the input, or a 1x1
    convolution if the shape changes.

    Attributes:
      width: number of channels D.
      stride: stride of the block.
      bias: whether convolutions have a bias.
      first: whether the input of the skip is activated.
      last: whether the output is activated.
      omit_activation: whether f omits its first activation.
      torch_padding: whether convolutions have symmetric padding.
      epsilon: epsilon of the norms, except the last one.
    """

    width: int
    stride: int
    bias: bool
    first: bool
    last: bool
    omit_activation: bool = False
    torch_padding: bool = False
    epsilon: float = 1e-3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, keep: jax.Array | None = None) -> jax.Array:
        """Maps images to images; with `keep` `[]`, f is scaled by `keep`, the skip is not."""
        active = x if self.omit_activation else norm_leaky_relu(x, train, self.epsilon)
        skip = active if self.first else x
        inner = conv(active, self.width, 3, self.stride, self.bias, self.torch_padding)
        inner = norm_leaky_relu(inner, train, self.epsilon)
        inner = conv(inner, self.width, 3, 1, self.bias)
        if skip.shape != inner.shape:
            skip = conv(skip, self.width, 1, self.stride, self.bias)
        output = skip + (inner if keep is None else keep * inner)
        return norm_leaky_relu(output, train) if self.last else output


def norm_leaky_relu(x: jax.Array, train: bool, epsilon: float = 1e-3) -> jax.Array:
    """`leaky_relu(norm(x))`, with parameters of the calling module."""
    norm = nn.BatchNorm(momentum=0.999, epsilon=epsilon)
    return nn.leaky_relu(norm(x, use_running_average=not train), 0.1)


def conv(
    x: jax.Array, width: int, size: int, stride: int, bias: bool, torch_padding: bool = False
) -> jax.Array:
    """A convolution with PyTorch's padding if `torch_padding`, else with TensorFlow's.

    With stride 2, the latter is one pixel more at the far edges.
    """
    init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
    pad = ((size // 2, size // 2),) * 2 if torch_padding else "SAME"
    return Conv(width, (size, size), (stride, stride), pad, use_bias=bias, kernel_init=init)(x)
