"""Heads with several layers."""

import flax.linen as nn
import jax


class HiddenHead(nn.Module):
    """Hidden layers as wide as the features, then a linear one, `[N, D] -> [N, outputs]`.

    Attributes:
      outputs: number of outputs of the last layer.
      hidden: number of hidden layers `relu(x W + b)`.
    """

    outputs: int
    hidden: int = 0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps features to outputs."""
        for _ in range(self.hidden):
            x = nn.relu(nn.Dense(x.shape[-1], kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(self.outputs)(x)


class MLPHead(nn.Module):
    """Hidden layers of given widths, then a linear one, `[N, ...] -> [N, outputs]`.

    Attributes:
      outputs: number of outputs of the last layer.
      widths: widths of the hidden layers `relu(x W + b)`.
    """

    outputs: int
    widths: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps vectors to outputs."""
        for width in self.widths:
            x = nn.relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(self.outputs)(x)
