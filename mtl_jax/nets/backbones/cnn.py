"""A small convolutional trunk."""

import flax.linen as nn
import jax

from mtl_jax.core.trunk import StagedTrunk
from mtl_jax.core.validation import require_widths
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.backbones.norm import BatchNorm
from mtl_jax.nets.backbones.stages import global_average_pool


class CNN(StagedTrunk, nn.Module):
    """Convolutions with BatchNorm, `[N, H, W, C] -> [N, D]`.

    Each stage is `relu(norm(conv3x3(x)))`, all but the first with stride 2; the features are the
    mean over the remaining pixels.

    Attributes:
      features: channels of each stage; the last is D.
      batch_norm: whether a stage normalizes over batch and pixels (momentum 0.9).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.CNN((32, 64)), jax.numpy.zeros((2, 32, 32, 3))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 64)
    """

    features: tuple[int, ...] = (32, 64, 128)
    batch_norm: bool = True

    convolutional = True

    def __post_init__(self):
        require_widths(self, "features")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images `[N, H, W, C]` to features `[N, D]`."""
        for stage, width in enumerate(self.features):
            x = conv_norm_relu(x, width, 2 if stage else 1, self.batch_norm, train)
        return self.pool(x)

    @nn.nowrap
    def stages(self) -> tuple[nn.Module, ...]:
        """The stages `(x, train) -> x` of the trunk, each with its own parameters."""
        return tuple(
            ConvStage(width, 2 if stage else 1, self.batch_norm, parent=None)
            for stage, width in enumerate(self.features)
        )

    @nn.nowrap
    def pool(self, x: jax.Array) -> jax.Array:
        """Maps the output of the last stage `[N, H, W, D]` to features `[N, D]`."""
        return global_average_pool(x)


class ConvStage(nn.Module):
    """One stage of a `CNN`, `[N, H, W, C] -> [N, H', W', D]`.

    Attributes:
      width: number of channels D.
      stride: stride of the convolution.
      batch_norm: whether it normalizes.
    """

    width: int
    stride: int
    batch_norm: bool

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to images."""
        return conv_norm_relu(x, self.width, self.stride, self.batch_norm, train)


def conv_norm_relu(
    x: jax.Array, width: int, stride: int, batch_norm: bool, train: bool
) -> jax.Array:
    """`relu(norm(conv3x3(x)))`, with parameters of the calling module."""
    x = Conv(
        width,
        (3, 3),
        (stride, stride),
        use_bias=not batch_norm,
        kernel_init=nn.initializers.he_normal(),
    )(x)
    if batch_norm:
        x = BatchNorm()(x, use_running_average=not train)
    return nn.relu(x)
