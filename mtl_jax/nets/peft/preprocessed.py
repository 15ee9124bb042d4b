"""A trunk that brings images to what its weights expect."""

import flax.linen as nn
import jax

from mtl_jax.core.validation import require
from mtl_jax.nets.multitask.experts import require_trunk
from mtl_jax.nets.pretrained.preprocessing import Preprocessing


class Preprocessed(nn.Module):
    """A trunk behind the preprocessing of its weights, `f((x - mean) / std)`, `[N, ...] -> [N, D]`.

    Images come as everywhere else, floats in [0, 1], so augmentations stay what they are; in
    training and in evaluation alike. Parameters and statistics have the names of the trunk's.

    Attributes:
      trunk: a plain trunk.
      by: the preprocessing, such as `nets.pretrained.IMAGENET`.

    Raises:
      BadInput: for what is no plain trunk, or no preprocessing.
    """

    trunk: nn.Module
    by: Preprocessing

    def __post_init__(self):
        require_trunk(self, "trunk")
        fine = isinstance(self.by, Preprocessing)
        require(fine, self, "by", "must be a Preprocessing", self.by)
        super().__post_init__()

    @property
    def around(self) -> nn.Module:
        """The trunk that a source has."""
        return self.trunk

    @property
    def convolutional(self) -> bool:
        """Whether the trunk convolves, which decides how steps are dispatched."""
        return self.trunk.convolutional

    def setup(self):
        """Gives the trunk's parameters the names that they have without this."""
        nn.share_scope(self, self.trunk)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images `[N, H, W, C]` in [0, 1] to features `[N, D]`."""
        return self.trunk(self.by(x), train=train)
