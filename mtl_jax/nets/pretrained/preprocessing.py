"""Preprocessing of images for pretrained weights."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import are_numbers, require, require_int


# Without leaves, so that weights that include it remain a tree of arrays.
@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of the images of pretrained weights, `(low + (high - low) x - mean) / std`.

    Calling it with images x in [0, 1] returns the preprocessed images; resizing and cropping to
    `size` is left to the caller.

    Attributes:
      size: height and width, in pixels.
      mean: mean of each channel, in units of the range.
      std: standard deviation of each channel, in units of the range.
      range: low and high, the values of black and white before mean and std.

    Raises:
      BadInput: for a size below 1, unequal numbers of channels, a std that is not positive, or
        a range that is not increasing.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax.nets.pretrained import Preprocessing
      >>> image = jnp.array([0.0, 0.5, 1.0]).reshape(1, 3, 1)
      >>> Preprocessing(size=224, mean=(0.5,), std=(0.5,))(image).ravel().tolist()
      [-1.0, 0.0, 1.0]
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self):
        require_int(self, size=1)
        for field in ("mean", "std", "range"):
            value = getattr(self, field)
            require(are_numbers(value), self, field, "must be a tuple of finite numbers", value)
        rule = f"must have as many channels as mean, {len(self.mean)}"
        require(len(self.std) == len(self.mean), self, "std", rule, self.std)
        require(min(self.std) > 0, self, "std", "must be above 0", self.std)
        rises = len(self.range) == 2 and self.range[0] < self.range[1]
        require(rises, self, "range", "must be (low, high) with low < high", self.range)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps float images `[..., H, W, C]` in [0, 1] to the inputs that the weights expect."""
        chex.assert_type(images, float)
        chex.assert_axis_dimension(images, -1, len(self.mean))
        mean, std = (
            jnp.broadcast_to(jnp.asarray(row, images.dtype), images.shape)
            for row in (self.mean, self.std)
        )
        low, high = self.range
        return (low + (high - low) * images - mean) / std


IMAGENET = Preprocessing(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
