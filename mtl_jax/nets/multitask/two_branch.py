"""Two models as one trunk: parallel branches that share only their input."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import Trunk
from mtl_jax.nets.multitask.experts import clone_trunk, require_array, require_trunk


class TwoBranch(Trunk, nn.Module):
    """Two copies of a trunk with concatenated features, `[N, ...] -> [N, ..., 2 D]`.

    Each has its own parameters and statistics (`net_0`, `net_1`), initialized independently. A
    linear head returns `h_0 W_0 + h_1 W_1 + b`, the sum of the outputs of two heads with a shared
    b. It is required by methods in which two models teach each other, such as
    `domain_adaptation.FixBi`.

    Attributes:
      trunk: `(x [N, ...], train) -> features [N, D]`.

    Raises:
      BadInput: for anything but a plain trunk.

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.TwoBranch(nets.MLP((8,))), jax.numpy.zeros((2, 4))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 16)
    """

    trunk: nn.Module

    has_two_branches = True

    def __post_init__(self):
        require_trunk(self, "trunk")
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs `[N, ...]` to features `[N, 2 D]`."""
        nets = clone_trunk(self, self.trunk, "net", 2)
        features = [net(x, train=train) for net in nets]
        require_array(self, "trunk", features[0])
        return jnp.concatenate(features, -1)
