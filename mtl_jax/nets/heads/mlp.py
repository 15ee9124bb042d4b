"""Heads that read one vector for each example: linear, and with hidden layers."""

from typing import Any

import flax.linen as nn
import jax

from mtl_jax.core.features import as_vector
from mtl_jax.core.head import Head
from mtl_jax.core.validation import require_int, require_widths
from mtl_jax.nets.heads.features import require_features

ANY = ("vector", "sequence", "map", "pyramid", "tokens")


class Linear(Head, nn.Module):
    """A linear head, `[N, D] -> [N, C]`; `num_outputs=C` of a task is short for it.

    Maps and sequences are averaged over their positions; of a pyramid it reads the mean of the
    coarsest map, and of tokens their summary. Hence a task of whole images may stand beside dense
    ones.

    Attributes:
      num_outputs: C.

    Raises:
      BadInput: for a number below 1.

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> head, features = nets.heads.Linear(10), jax.numpy.zeros((4, 7, 7, 32))
      >>> outputs, _ = head.init_with_output(jax.random.key(0), features, train=False)
      >>> outputs.shape
      (4, 10)
    """

    num_outputs: int

    reads = ANY
    reads_positions = True

    def __post_init__(self):
        require_int(self, num_outputs=1)
        super().__post_init__()

    @nn.compact
    def __call__(self, features: Any, *, train: bool = False) -> jax.Array:
        """Maps features to outputs `[N, C]`."""
        require_features(self, features)
        x = as_vector(features)
        shape = (x.shape[-1], self.num_outputs)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        return x @ kernel + self.param("bias", nn.initializers.zeros, shape[1:])[None]


class MLPHead(Head, nn.Module):
    """Hidden layers of given widths, then a linear one, `[N, D] -> [N, C]`.

    Each hidden layer is `relu(x W + b)`. It reads what `Linear` reads.

    Attributes:
      num_outputs: C.
      widths: widths of the hidden layers.

    Raises:
      BadInput: for a number below 1.

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> head, features = nets.heads.MLPHead(10, (64,)), jax.numpy.zeros((4, 32))
      >>> outputs, _ = head.init_with_output(jax.random.key(0), features, train=False)
      >>> outputs.shape
      (4, 10)
    """

    num_outputs: int
    widths: tuple[int, ...] = ()

    reads = ANY
    reads_positions = True

    def __post_init__(self):
        require_int(self, num_outputs=1)
        if self.widths != ():
            require_widths(self, "widths")
        super().__post_init__()

    @nn.compact
    def __call__(self, features: Any, *, train: bool = False) -> jax.Array:
        """Maps features to outputs `[N, C]`."""
        require_features(self, features)
        return dense_layers(as_vector(features), self.widths, self.num_outputs)


class HiddenHead(nn.Module):
    """Hidden layers as wide as the features, then a linear one, `[..., D] -> [..., outputs]`.

    The module of an `AuxHead`.

    Attributes:
      outputs: number of outputs of the last layer.
      hidden: number of hidden layers `relu(x W + b)`.
    """

    outputs: int
    hidden: int = 0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps features to outputs."""
        return dense_layers(x, (x.shape[-1],) * self.hidden, self.outputs)


def dense_layers(x: jax.Array, widths: tuple[int, ...], outputs: int) -> jax.Array:
    """Layers `relu(x W + b)` and a linear one, with parameters of the calling module."""
    for width in widths:
        x = nn.relu(nn.Dense(width, kernel_init=nn.initializers.he_normal())(x))
    return nn.Dense(outputs)(x)
