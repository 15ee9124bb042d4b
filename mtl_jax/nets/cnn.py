"""A small convolutional trunk."""

import flax.linen as nn
import jax

from mtl_jax.checks import require_widths


class CNN(nn.Module):
    """Convolutions with BatchNorm, `[N, H, W, C] -> [N, D]`.

    Each stage is `relu(norm(conv3x3(x)))`, every one after the first with stride 2; the
    features are the mean over the remaining pixels.

    Attributes:
      features: channels of each stage; the last is D.
      batch_norm: whether a stage normalises over batch and pixels (momentum 0.99).
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
            stride = 2 if stage else 1
            x = nn.Conv(
                width,
                (3, 3),
                (stride, stride),
                use_bias=not self.batch_norm,
                kernel_init=nn.initializers.he_normal(),
            )(x)
            if self.batch_norm:
                x = nn.BatchNorm()(x, use_running_average=not train)
            x = nn.relu(x)
        return x.mean((1, 2))
