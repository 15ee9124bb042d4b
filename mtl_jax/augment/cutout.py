"""Cutout: cover a square of the image."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.image import require_image
from mtl_jax.checks import require_count, require_number


@dataclasses.dataclass(frozen=True)
class Cutout:
    """Fills a square whose centre is any pixel; what reaches over the border is cut off.

    Attributes:
      size: side of the square in pixels; 0 is the identity.
      fill: value in the square.

    Raises:
      BadInput: for a size that is not whole or is negative, or a fill outside [0, 1].

    Reference: DeVries and Taylor, Improved Regularization of Convolutional Neural Networks
      with Cutout, 2017, Section 3 (https://arxiv.org/abs/1708.04552).
    """

    size: int
    fill: float = 0.0

    def __post_init__(self):
        require_count(self, size=0)
        require_number(self, fill=(0.0, 1.0))

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """Maps a key `[]` and an image `[H, W, C]` to one of the same shape and dtype."""
        require_image(self, image)
        if self.size == 0:
            return image
        height, width, _ = image.shape
        centre = jax.random.randint(key, (2,), 0, jnp.array([height, width]))
        first = centre - self.size // 2
        rows = self.covered(first[0], height)[:, None, None]
        columns = self.covered(first[1], width)[None, :, None]
        return jnp.where(rows & columns, jnp.asarray(self.fill, image.dtype), image)

    def covered(self, first: jax.Array, length: int) -> jax.Array:
        """Which of the places along a side `[length]` the square covers."""
        places = jnp.arange(length)
        return (places >= first) & (places < first + self.size)
