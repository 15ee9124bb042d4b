"""A trunk of dense layers."""

import flax.linen as nn
import jax

from mtl_jax.core.trunk import StagedTrunk
from mtl_jax.core.validation import require_widths
from mtl_jax.nets.backbones.norm import BatchNorm


class MLP(StagedTrunk, nn.Module):
    """Multi-layer perceptron over flattened images, `[N, ...] -> [N, D]`.

    Each layer is `relu(norm(x W + b))`; W is initialized from He's normal distribution, b to 0.

    Attributes:
      features: width of each layer; the last is D.
      batch_norm: whether a layer normalizes over the batch (momentum 0.9).

    Reference: He et al., Delving Deep into Rectifiers, ICCV 2015, Eq. 10
      (https://arxiv.org/abs/1502.01852).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.MLP((64, 32)), jax.numpy.zeros((2, 28, 28, 1))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 32)
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
        for width in self.features:
            x = dense_layer(x, width, self.batch_norm, train)
        return self.pool(x)

    @nn.nowrap
    def stages(self) -> tuple[nn.Module, ...]:
        """The stages `(x, train) -> x` of the trunk, each with its own parameters."""
        return tuple(DenseStage(width, self.batch_norm, parent=None) for width in self.features)

    @nn.nowrap
    def pool(self, x: jax.Array) -> jax.Array:
        """The output of the last stage `[N, D]`, unchanged."""
        return x


class DenseStage(nn.Module):
    """One layer of an `MLP`, `[N, ...] -> [N, D]`.

    Attributes:
      width: D.
      batch_norm: whether it normalizes.
    """

    width: int
    batch_norm: bool

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs, which are flattened, to vectors."""
        return dense_layer(x, self.width, self.batch_norm, train)


def dense_layer(x: jax.Array, width: int, batch_norm: bool, train: bool) -> jax.Array:
    """`relu(norm(x W + b))` of flattened inputs, with parameters of the calling module."""
    x = x.reshape(x.shape[0], -1)
    x = nn.Dense(width, kernel_init=nn.initializers.he_normal())(x)
    if batch_norm:
        x = BatchNorm()(x, use_running_average=not train)
    return nn.relu(x)
