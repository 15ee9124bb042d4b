"""A small convolutional trunk for signals."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import StagedTrunk
from mtl_jax.core.validation import require, require_widths
from mtl_jax.nets.backbones.stages import sequential


class FCN(StagedTrunk, nn.Module):
    """Fully convolutional network for signals of T times and C channels, `[N, T, C] -> [N, D]`.

    Each stage is `relu(norm(conv(x)))` along time, which keeps T; the features are the mean over
    time. Convolutions are zero-padded. Norms have momentum 0.99 in Flax's convention.

    On a CPU a convolution is one product of shifted copies of the signals with the kernel, which
    may be scanned and vmapped; with XLA's own the backward pass would be slow in a loop.

    Attributes:
      features: channels of each stage; the last is D. The paper's are (128, 256, 128).
      sizes: kernel size of each stage, in times.

    Raises:
      BadInput: for no stages, a different number of sizes, or anything but integers of at least 1;
        when called, for anything but signals.

    Reference: Wang et al., Time Series Classification from Scratch with Deep Neural Networks,
      IJCNN 2017, its section on fully convolutional networks (https://arxiv.org/abs/1611.06455).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.FCN(), jax.numpy.zeros((2, 140, 1))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 128)
    """

    features: tuple[int, ...] = (128, 256, 128)
    sizes: tuple[int, ...] = (8, 5, 3)

    convolutional = False  # It is only read on a CPU, where convolutions are matrix products.

    def __post_init__(self):
        require_widths(self, "features")
        require_widths(self, "sizes")
        equal = len(self.sizes) == len(self.features)
        require(equal, self, "sizes", f"must be {len(self.features)} as features are", self.sizes)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps signals `[N, T, C]` to features `[N, D]`."""
        require(x.ndim == 3, self, "x", "must be signals [N, T, C]", x.shape)
        return self.pool(sequential(self, self.stages(), x, train))

    @nn.nowrap
    def stages(self) -> tuple[nn.Module, ...]:
        """The stages `(x, train) -> x` of the trunk, each with its own parameters."""
        return tuple(
            SignalStage(width, size, parent=None)
            for width, size in zip(self.features, self.sizes, strict=True)
        )

    @nn.nowrap
    def pool(self, x: jax.Array) -> jax.Array:
        """Maps the output of the last stage `[N, T, D]` to features `[N, D]`."""
        return x.mean(1)


class SignalStage(nn.Module):
    """One stage of an `FCN`, `[N, T, C] -> [N, T, D]`.

    Attributes:
      width: number of channels D.
      size: kernel size, in times.
    """

    width: int
    size: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps signals to signals."""
        init = nn.initializers.he_normal()
        kernel = self.param("kernel", init, (self.size, x.shape[-1], self.width))
        return nn.relu(nn.BatchNorm()(convolve(x, kernel), use_running_average=not train))


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Zero-padded convolution of `[N, T, C]` with a kernel `[h, C, D]`, `[N, T, D]`."""

    def native(x, kernel):
        numbers = ("NWC", "WIO", "NWC")
        return jax.lax.conv_general_dilated(x, kernel, (1,), "SAME", dimension_numbers=numbers)

    return jax.lax.platform_dependent(x, kernel, cpu=shifted_product, default=native)


def shifted_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The same as one product of shifted signals with the kernel."""
    size, times = kernel.shape[0], x.shape[1]
    before = (size - 1) // 2
    x = jnp.pad(x, ((0, 0), (before, size - 1 - before), (0, 0)))
    shifted = [x[:, start : start + times] for start in range(size)]
    return jnp.concatenate(shifted, -1) @ kernel.reshape(-1, kernel.shape[-1])
