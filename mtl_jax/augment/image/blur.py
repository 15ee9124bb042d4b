"""GaussianBlur: blurs an image with a random width."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.image.validation import as_floats, like, require_image
from mtl_jax.core.policy import Policy
from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.validation import require, require_number


@dataclasses.dataclass(frozen=True)
class GaussianBlur(Policy):
    """Blurs an image with a Gaussian of random width, with some probability.

    The kernel `exp(-d^2 / 2 sigma^2)`, d in pixels and sigma uniform in `min_sigma..max_sigma`, has
    `2 r + 1` entries along each side, `r = max(1, floor(extent H / 2))`, and sums to 1. The
    border is padded by reflection.

    Attributes:
      probability: of applying the blur; 0 is the identity.
      min_sigma: smallest sigma in pixels.
      max_sigma: largest sigma in pixels; 0 is the identity.
      extent: size of the kernel as a fraction of the height.

    Raises:
      BadInput: for a probability or extent outside [0, 1], or sigmas that are negative or in
        the wrong order; a ValueError when traced, if the kernel is larger than the image.

    Reference: Chen et al., A Simple Framework for Contrastive Learning, ICML 2020, Appendix A
      (https://arxiv.org/abs/2002.05709); its code pads with zeros, which darkens the border.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> policy = augment.GaussianBlur(probability=1.0, min_sigma=1.0, max_sigma=1.0)
      >>> image = jnp.zeros((5, 5, 1)).at[2, 2].set(1.0)
      >>> blurred = jax.jit(policy)(jax.random.key(0), image)  # With a kernel of 3 x 3.
      >>> [round(value, 2) for value in blurred.reshape(5, 5).tolist()[2]]
      [0.0, 0.12, 0.2, 0.12, 0.0]
    """

    probability: float = 0.5
    min_sigma: float = 0.1
    max_sigma: float = 2.0
    extent: float = 0.1

    def __post_init__(self):
        require_number(self, probability=(0.0, 1.0), extent=(0.0, 1.0))
        require_number(self, min_sigma=(0.0, float("inf")), max_sigma=(0.0, float("inf")))
        rule = f"must be at least min_sigma={self.min_sigma}"
        require(self.max_sigma >= self.min_sigma, self, "max_sigma", rule, self.max_sigma)

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """Maps a key `[]` and an image `[H, W, C]` to one of the same shape and dtype."""
        require_image(self, image)
        if not (self.probability and self.max_sigma):
            return image
        floats = as_floats(image)
        uniform = jax.random.uniform(key, (2,), floats.dtype)
        sigma = self.min_sigma + uniform[1] * (self.max_sigma - self.min_sigma)
        radius = max(1, int(self.extent * image.shape[0] / 2))
        blurred = like(gaussian(floats, sigma, radius), image)
        return jnp.where(uniform[0] < self.probability, blurred, image)


def gaussian(image: jax.Array, sigma: jax.Array, radius: int) -> jax.Array:
    """Blurs an image `[H, W, C]` with a Gaussian of width sigma `[]`, separably along both sides.

    Raises:
      ValueError: if the radius exceeds the image.
    """
    height, width, _ = image.shape
    if radius >= min(height, width):
        raise ValueError(f"GaussianBlur of radius {radius} needs a larger image than {image.shape}")
    distance = jnp.arange(-radius, radius + 1).astype(image.dtype)
    # A sigma of 0 is no blur; avoid dividing by its square.
    kernel = jnp.exp(-0.5 * (distance / jnp.maximum(sigma, 1e-3)) ** 2)
    kernel = kernel / kernel.sum()
    offsets = range(2 * radius + 1)
    image = jnp.pad(image, ((radius, radius), (0, 0), (0, 0)), mode="reflect")
    image = sum_arrays(kernel[i] * image[i : i + height] for i in offsets)
    image = jnp.pad(image, ((0, 0), (radius, radius), (0, 0)), mode="reflect")
    image = sum_arrays(kernel[i] * image[:, i : i + width] for i in offsets)
    return image.clip(0.0, 1.0)  # Weights add up to 1 but for rounding.
