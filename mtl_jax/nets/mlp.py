"""A trunk of dense layers."""

import flax.linen as nn
import jax

from mtl_jax.checks import require_widths


class MLP(nn.Module):
    """Multi-layer perceptron over flattened images, `[N, ...] -> [N, D]`.

    Each layer is `relu(norm(x W + b))`; W is drawn from He's normal distribution, b is 0.

    Attributes:
      features: width of each layer; the last is D.
      batch_norm: whether a layer normalises over the batch (momentum 0.99).

    Reference: He et al., Delving Deep into Rectifiers, ICCV 2015, Eq. 10
      (https://arxiv.org/abs/1502.01852).
    """

    features: tuple[int, ...] = (256, 256)
    batch_norm: bool = False

    convolutional = False

    def __post_init__(self):
        require_widths(self, "features")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs `[N, ...]` to features `[N, D]`."""
        x = x.reshape(x.shape[0], -1)
        for width in self.features:
            x = nn.Dense(width, kernel_init=nn.initializers.he_normal())(x)
            if self.batch_norm:
                x = nn.BatchNorm()(x, use_running_average=not train)
            x = nn.relu(x)
        return x
