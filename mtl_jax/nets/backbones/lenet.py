"""The trunk of MultiMNIST."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import StagedTrunk
from mtl_jax.core.validation import require, require_widths
from mtl_jax.nets.backbones.mlp import DenseStage
from mtl_jax.nets.backbones.stages import sequential

MAX_CHANNELS = (
    16  # Maximum number of input channels; above it the shifted images take too much memory.
)


class LeNet(StagedTrunk, nn.Module):
    """LeNet, `[N, H, W, C] -> [N, D]`, for grey images of 28 to 36 pixels.

    Two stages `relu(max_pool2x2(conv5x5(x)))` without padding, and `relu(x W + b)` of their
    flattened output. The original randomly drops channels of the second stage; here there is no
    dropout.

    On a CPU a convolution of up to 16 channels is a product of its 25 shifted images with the
    kernel. With so few channels this took 0.6 of the time of XLA's own (gradient, 64 images), and
    it may be scanned and vmapped (`Execution()`), unlike convolutions by default.

    Attributes:
      features: channels of the convolutions, and D.

    Raises:
      BadInput: for anything but three widths; when called, for images with a side below 16
        pixels.

    Reference: Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS
      2018, Section 4.1 (https://arxiv.org/abs/1810.04650).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.LeNet(), jax.numpy.zeros((2, 36, 36, 1))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 50)
    """

    features: tuple[int, ...] = (10, 20, 50)

    convolutional = True

    def __post_init__(self):
        require_widths(self, "features")
        require(len(self.features) == 3, self, "features", "must be three", self.features)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images `[N, H, W, C]` to features `[N, D]`."""
        return self.pool(sequential(self, self.stages(), x, train))

    @nn.nowrap
    def stages(self) -> tuple[nn.Module, ...]:
        """The stages `(x, train) -> x` of the trunk, each with its own parameters."""
        first, second, last = self.features
        return (
            PooledStage(first, parent=None),
            PooledStage(second, parent=None),
            DenseStage(last, False, parent=None),
        )

    @nn.nowrap
    def pool(self, x: jax.Array) -> jax.Array:
        """The output of the last stage `[N, D]`, unchanged."""
        return x


class PooledStage(nn.Module):
    """`relu(max_pool2x2(conv5x5(x)))`, `[N, H, W, C] -> [N, (H-4)/2, (W-4)/2, D]`.

    Attributes:
      width: number of channels D.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to images."""
        require(
            min(x.shape[1:3]) >= 6, "LeNet", "x", "must have at least 16 pixels a side", x.shape
        )
        kernel = self.param("kernel", nn.initializers.he_normal(), (5, 5, x.shape[-1], self.width))
        bias = self.param("bias", nn.initializers.zeros, (self.width,))
        return nn.relu(max_pool_2x2(convolve(x, kernel)) + bias[None, None, None])


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Unpadded convolution of `[N, H, W, C]` with `[h, w, C, D]`, `[N, H-h+1, W-w+1, D]`."""

    def native(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=numbers)

    if x.shape[-1] > MAX_CHANNELS:
        return native(x, kernel)
    return jax.lax.platform_dependent(x, kernel, cpu=shifted_product, default=native)


def shifted_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The same as one product of shifted images with the kernel."""
    h, w, _, width = kernel.shape
    rows, columns = x.shape[1] - h + 1, x.shape[2] - w + 1
    shifted = [x[:, i : i + rows, j : j + columns] for i in range(h) for j in range(w)]
    return jnp.concatenate(shifted, -1) @ kernel.reshape(-1, width)


def max_pool_2x2(x: jax.Array) -> jax.Array:
    """2x2 max pool, `[N, H/2, W/2, C]`; an odd last row or column is dropped."""
    n, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
