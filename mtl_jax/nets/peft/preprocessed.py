"""A trunk with the preprocessing of its pretrained weights."""

import flax.linen as nn
import jax

from mtl_jax.core.trunk import Trunk
from mtl_jax.core.validation import require
from mtl_jax.nets.multitask.experts import require_trunk
from mtl_jax.nets.pretrained.preprocessing import Preprocessing


class Preprocessed(Trunk, nn.Module):
    """A trunk with the preprocessing of its weights, `f((x - mean) / std)`, `[N, ...] -> [N, D]`.

    Images are floats in [0, 1] as elsewhere, so augmentations are unchanged; the preprocessing is
    the same in training and evaluation. Parameters and statistics have the names of the trunk's.

    Attributes:
      trunk: a plain trunk.
      preprocessing: the preprocessing, such as `nets.pretrained.IMAGENET`.

    Raises:
      BadInput: for anything but a plain trunk, or an invalid preprocessing.

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk = nets.Preprocessed(nets.CNN((8,)), nets.pretrained.IMAGENET)
      >>> x = jax.ShapeDtypeStruct((1, 32, 32, 3), "float32")
      >>> sorted(jax.eval_shape(lambda x: trunk.init(jax.random.key(0), x, train=False), x)["params"])
      ['BatchNorm_0', 'Conv_0']
    """

    trunk: nn.Module
    preprocessing: Preprocessing

    def __post_init__(self):
        require_trunk(self, "trunk")
        valid = isinstance(self.preprocessing, Preprocessing)
        require(valid, self, "preprocessing", "must be a Preprocessing", self.preprocessing)
        super().__post_init__()

    @property
    def base_trunk(self) -> nn.Module:
        """The trunk of the source model."""
        return self.trunk

    inner_trunks = ("trunk",)

    def setup(self):
        """Keeps the names of the trunk's parameters."""
        nn.share_scope(self, self.trunk)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images `[N, H, W, C]` in [0, 1] to features `[N, D]`."""
        return self.trunk(self.preprocessing(x), train=train)
