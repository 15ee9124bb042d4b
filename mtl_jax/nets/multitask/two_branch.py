"""Two nets as one trunk: side by side, with nothing in common but their input."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.nets.multitask.experts import copies, require_trunk


class Twins(nn.Module):
    """Two copies of a trunk, `[N, ...] -> [N, 2 D]`: features of one, then those of the other.

    Each has parameters and statistics of its own (`net_0`, `net_1`), drawn apart. A linear head
    says `h_0 W_0 + h_1 W_1 + b`, the sum of what two heads say, but that they share b. Methods
    that let two nets teach each other want it, such as `alignment.FixBi`.

    Attributes:
      trunk: `(x [N, ...], train) -> features [N, D]`.

    Raises:
      BadInput: for what is no plain trunk.
    """

    trunk: nn.Module

    twins = True

    def __post_init__(self):
        require_trunk(self, "trunk")
        super().__post_init__()

    @property
    def convolutional(self) -> bool:
        """Whether the trunk convolves, which decides how steps are dispatched."""
        return self.trunk.convolutional

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps inputs `[N, ...]` to features `[N, 2 D]`."""
        nets = copies(self, self.trunk, "net", 2)
        return jnp.concatenate([net(x, train=train) for net in nets], -1)
