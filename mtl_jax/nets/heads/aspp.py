"""DeepLab v3's head: atrous convolutions of several rates beside pooling of the image."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.head import Head
from mtl_jax.core.validation import require_int, require_number, require_widths
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.backbones.norm import BatchNorm
from mtl_jax.nets.heads.features import require_features
from mtl_jax.nets.resize import require_size, resize


class ASPP(Head, nn.Module):
    """Atrous spatial pyramid pooling, `[N, H', W', D] -> [N, H, W, C]`.

    Side by side, each to `width` channels and followed by norm and relu: a 1x1 convolution, a 3x3
    one of each rate, and the mean over the pixels with a 1x1 convolution. Their concatenation
    goes through a 1x1 convolution, norm, relu and dropout, then a 3x3 convolution, norm and
    relu, a 1x1 convolution to C channels, and bilinear resizing. It is torchvision's
    `DeepLabHead`, which LibMTL uses for NYUv2 and Cityscapes over a ResNet-50 of output stride 8;
    with 2048 channels and 13 outputs it has 16,128,781 parameters.

    Attributes:
      num_outputs: C.
      size: (H, W), that of the labels; None keeps the size of the map.
      rates: dilation rates; (6, 12, 18) for an output stride of 16.
      width: number of inner channels.
      dropout: dropout rate.

    Raises:
      BadInput: for a number outside its range; when called, for features that are no map.

    Reference: Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017,
      Section 3.3 (https://arxiv.org/abs/1706.05587).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> head, features = nets.heads.ASPP(13, size=(32, 48)), jax.numpy.zeros((2, 4, 6, 16))
      >>> outputs, _ = jax.eval_shape(
      ...     lambda x: head.init_with_output(jax.random.key(0), x, train=False), features
      ... )
      >>> outputs.shape
      (2, 32, 48, 13)
    """

    num_outputs: int
    size: tuple[int, int] | None = None
    rates: tuple[int, ...] = (12, 24, 36)
    width: int = 256
    dropout: float = 0.5

    reads = ("map",)

    def __post_init__(self):
        require_int(self, num_outputs=1, width=1)
        require_size(self)
        require_widths(self, "rates")
        require_number(self, dropout=(0.0, 1.0))
        super().__post_init__()

    @nn.compact
    def __call__(self, features: jax.Array, *, train: bool) -> jax.Array:
        """Maps a map to outputs of every pixel; dropout takes the stream "draw"."""
        require_features(self, features)
        x, width = features, self.width
        pooled = conv_norm_relu(x.mean((1, 2), keepdims=True), "pooled", width, train=train)
        parts = [
            conv_norm_relu(x, "pixel", width, train=train),
            *(
                conv_norm_relu(x, f"atrous{i}", width, 3, rate, train=train)
                for i, rate in enumerate(self.rates)
            ),
            jnp.broadcast_to(pooled, (*x.shape[:3], width)),
        ]
        x = conv_norm_relu(jnp.concatenate(parts, -1), "project", width, train=train)
        x = nn.Dropout(self.dropout, rng_collection="draw", deterministic=not train)(x)
        x = conv_norm_relu(x, "last", width, 3, train=train)
        return resize(nn.Dense(self.num_outputs, name="outputs")(x), self.size)


def conv_norm_relu(
    x: jax.Array, name: str, width: int, size: int = 1, rate: int = 1, *, train: bool
) -> jax.Array:
    """`relu(norm(conv(x)))` of the same size, with parameters of the calling module."""
    conv = Conv(
        width,
        (size, size),
        kernel_dilation=(rate, rate),
        use_bias=False,
        kernel_init=nn.initializers.he_normal(),
        name=name,
    )
    return nn.relu(BatchNorm(name=f"{name}_norm")(conv(x), use_running_average=not train))
