"""The trunk of MultiMNIST."""

import flax.linen as nn
import jax

from mtl_jax.checks import require, require_widths
from mtl_jax.nets.mlp import DenseStage
from mtl_jax.nets.stages import in_order


class LeNet(nn.Module):
    """LeNet, `[N, H, W, C] -> [N, D]`, for grey images of 28 to 36 pixels.

    Two stages `relu(max_pool2x2(conv5x5(x)))` without padding, and `relu(x W + b)` of what
    they leave, flattened. The original drops channels of the second stage at random; here
    nothing is dropped.

    Attributes:
      features: channels of the convolutions, and D.

    Raises:
      BadInput: for other than three widths; when called, for images of fewer than 16 pixels a
        side.

    Reference: Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, NeurIPS
      2018, Section 5.1 (https://arxiv.org/abs/1810.04650).
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
        return self.pool(in_order(self, self.stages(), x, train))

    @nn.nowrap
    def stages(self) -> tuple[nn.Module, ...]:
        """The trunk in stages `(x, train) -> x`, each of its own parameters."""
        first, second, last = self.features
        return (
            PooledStage(first, parent=None),
            PooledStage(second, parent=None),
            DenseStage(last, False, parent=None),
        )

    @nn.nowrap
    def pool(self, x: jax.Array) -> jax.Array:
        """What the last stage gives `[N, D]`, as it is."""
        return x


class PooledStage(nn.Module):
    """`relu(max_pool2x2(conv5x5(x)))`, `[N, H, W, C] -> [N, (H-4)/2, (W-4)/2, D]`.

    Attributes:
      width: channels D.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to images."""
        require(
            min(x.shape[1:3]) >= 6, "LeNet", "x", "must have at least 16 pixels a side", x.shape
        )
        x = nn.Conv(self.width, (5, 5), padding="VALID", kernel_init=nn.initializers.he_normal())(x)
        return nn.relu(nn.max_pool(x, (2, 2), (2, 2)))
