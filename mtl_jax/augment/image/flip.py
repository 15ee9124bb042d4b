"""Flip: mirrors an image at random."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.image.validation import require_image
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class Flip(Policy):
    """Mirrors an image left to right and top to bottom, sampled separately.

    Do not use it where flips change the class, as for digits and letters.

    Attributes:
      left_right: probability of `out[i, j] = image[i, W - 1 - j]`.
      up_down: probability of `out[i, j] = image[H - 1 - i, j]`; both 0 is the identity.

    Raises:
      BadInput: for a probability outside [0, 1].

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> image = jnp.array([[[1], [2], [3]]], jnp.uint8)
      >>> augment.Flip(left_right=1.0)(jax.random.key(0), image)[..., 0].tolist()
      [[3, 2, 1]]
    """

    left_right: float = 0.5
    up_down: float = 0.0

    def __post_init__(self):
        require_number(self, left_right=(0.0, 1.0), up_down=(0.0, 1.0))

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """Maps a key `[]` and an image `[H, W, C]` to one of the same shape and dtype."""
        require_image(self, image)
        if not (self.left_right or self.up_down):
            return image
        uniform = sample_flips(key)
        # Both orientations are read and one selected, which fuses with the surrounding operations.
        # A gather of columns is as fast alone.
        if self.left_right:
            image = jnp.where(uniform[0] < self.left_right, image[:, ::-1], image)
        if self.up_down:
            image = jnp.where(uniform[1] < self.up_down, image[::-1], image)
        return image


def sample_flips(key: jax.Array) -> jax.Array:
    """Uniform samples in [0, 1) for flips left to right and top to bottom, `[2]`."""
    return jax.random.uniform(key, (2,))
