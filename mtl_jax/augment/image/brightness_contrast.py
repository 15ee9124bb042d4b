"""BrightnessContrast: changes the contrast and brightness of an image."""

import dataclasses

import jax

from mtl_jax.augment.image.validation import as_floats, like, require_image
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class BrightnessContrast(Policy):
    """Applies `image * u + v` to all pixels, clipped to [0, 1].

    u is uniform in `1 - contrast .. 1 + contrast`, v in `-brightness .. brightness`.

    Attributes:
      contrast: strength of u.
      brightness: strength of v; both 0 is the identity.

    Raises:
      BadInput: for a strength outside [0, 1].

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> policy = augment.BrightnessContrast(contrast=0.2, brightness=0.1)
      >>> float(jax.jit(policy)(jax.random.key(0), jnp.zeros((2, 2, 3))).max()) <= 0.1
      True
    """

    contrast: float = 0.0
    brightness: float = 0.0

    def __post_init__(self):
        require_number(self, contrast=(0.0, 1.0), brightness=(0.0, 1.0))

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """Maps a key `[]` and an image `[H, W, C]` to one of the same shape and dtype."""
        require_image(self, image)
        if not (self.contrast or self.brightness):
            return image
        floats = as_floats(image)
        uniform = jax.random.uniform(key, (2,), floats.dtype, -1.0, 1.0)
        adjusted = floats * (1.0 + self.contrast * uniform[0]) + self.brightness * uniform[1]
        return like(adjusted.clip(0.0, 1.0), image)
