"""CenterNet's head: objects as peaks of a heatmap."""

from typing import Any

import flax.linen as nn
import jax

from mtl_jax.core.features import Pyramid
from mtl_jax.core.head import Head
from mtl_jax.core.validation import require_int
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.heads.features import require_features
from mtl_jax.nets.heads.fpn import TopDown

START = -2.19  # log(0.1 / 0.9): every center starts with a probability of 0.1.


class Center(Head, nn.Module):
    """Detection by centers, `[N, h, w, D] -> {"heatmap", "size", "offset"}`.

    Logits of the centers of each class `[N, h, w, C]`, and at every cell the width and height of
    an object `[N, h, w, 2]` and the offset of its center from the cell `[N, h, w, 2]`. Each is a
    3x3 convolution, relu, and a 1x1 convolution. The paper's maps have a stride of 4; of a pyramid
    it reads the finest map of a feature pyramid network (`FPN`), which replaces the paper's
    deconvolutions.

    The kernels of the 1x1 convolutions are initialized from `N(0, 0.001^2)` and their biases to 0,
    that of the heatmap to -2.19, as in the authors' code.

    Attributes:
      num_outputs: number of classes C.
      width: number of channels after the 3x3 convolutions.

    Raises:
      BadInput: for a number below 1; when called, for features that are no map or pyramid.

    Reference: Zhou et al., Objects as Points, 2019, Section 3 (https://arxiv.org/abs/1904.07850),
      and its code (github.com/xingyizhou/CenterNet).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> head, features = nets.heads.Center(3, width=8), jax.numpy.zeros((2, 8, 6, 16))
      >>> outputs, _ = head.init_with_output(jax.random.key(0), features, train=False)
      >>> jax.tree.map(jax.numpy.shape, outputs)
      {'heatmap': (2, 8, 6, 3), 'offset': (2, 8, 6, 2), 'size': (2, 8, 6, 2)}
    """

    num_outputs: int
    width: int = 64

    reads = ("map", "pyramid")

    def __post_init__(self):
        require_int(self, num_outputs=1, width=1)
        super().__post_init__()

    @nn.compact
    def __call__(self, features: Any, *, train: bool) -> dict[str, jax.Array]:
        """Maps a map or a pyramid to the three outputs of every cell."""
        require_features(self, features)
        x = features
        if isinstance(features, Pyramid):
            x = TopDown(self.width, name="pyramid")(features).maps[0]
        kinds = {"heatmap": (self.num_outputs, START), "size": (2, 0.0), "offset": (2, 0.0)}
        return {kind: self.branch(kind, x, width, start) for kind, (width, start) in kinds.items()}

    @nn.nowrap
    def branch(self, kind: str, x: jax.Array, width: int, start: float) -> jax.Array:
        """One of the outputs; the bias of its last layer is initialized to `start`."""
        init = nn.initializers.he_normal()
        x = nn.relu(Conv(self.width, (3, 3), kernel_init=init, name=f"{kind}_hidden")(x))
        return nn.Dense(
            width,
            kernel_init=nn.initializers.normal(0.001),
            bias_init=nn.initializers.constant(start),
            name=kind,
        )(x)
