"""RandomScaleCrop: scales an example at random and crops a window of it."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.example.affine_map import AffineMap, window
from mtl_jax.augment.example.geometric import GeometricTransform
from mtl_jax.augment.example.validation import require_size
from mtl_jax.core.example_transform import Size
from mtl_jax.core.validation import are_numbers, require


@dataclasses.dataclass(frozen=True)
class RandomScaleCrop(GeometricTransform):
    """Scales image and labels by s and crops a window at a random position.

    The window starts at a whole pixel of the source. Depths are divided by s: what is magnified
    seems nearer. Where the scaled image is smaller than the window, it lies at a random position
    in it, with zeros and missing labels around it. With `scales=(1.0,)` it is a random crop.

    Attributes:
      scales: s is one of these.
      continuous: whether s is uniform between the smallest and the largest of the scales instead.
      size: height and width of the window; None for those of the image.

    Raises:
      BadInput: for no scale or one outside [0.1, 10], or a size that is not two integers of at
        least 1.

    Reference: Eigen et al., Depth Map Prediction from a Single Image, NIPS 2014, its paragraph
      on augmentation: scales of 1 to 1.5 (https://arxiv.org/abs/1406.2283). Scales of 1, 1.2 and
      1.5 are those of LibMTL's NYUv2; it rounds the window down to whole pixels, interpolates
      image and normals with the centers of the corner pixels kept in place, and reads the other
      labels at the upper left corners of pixels.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import example
      >>> crop = example.Joint((example.RandomScaleCrop((2.0,)),), kinds=(("depth", "depth"),))
      >>> room = example.Example(jnp.ones((4, 6, 3)), {"depth": jnp.full((4, 6), 3.0)})
      >>> crop(jax.random.key(0), room).labels["depth"][0, :3].tolist()
      [1.5, 1.5, 1.5]
    """

    scales: tuple[float, ...] = (1.0, 1.2, 1.5)
    continuous: bool = False
    size: tuple[int, int] | None = None

    def __post_init__(self):
        valid = are_numbers(self.scales) and all(0.1 <= scale <= 10.0 for scale in self.scales)
        require(valid, self, "scales", "must be a tuple of numbers in 0.1..10", self.scales)
        if self.size is not None:
            require_size(self)

    def sample(self, key: jax.Array, size: Size) -> AffineMap:
        """The map to a random window of `size / s`."""
        uniform = jax.random.uniform(key, (3,), jnp.float32)
        scale = self.to_scale(uniform[0])
        output_size = self.output_size(size)
        extent = jnp.array(output_size[::-1], jnp.float32) / scale
        free = jnp.array(size[::-1], jnp.float32) - extent
        # Whole pixels from 0 to what is free, or from it to 0 if the window is larger; 12 / 1.2
        # may be a little more than 10 in some programs.
        most = jnp.floor(jnp.abs(free) + 1e-3)
        corner = jnp.sign(free) * jnp.floor(uniform[1:] * (most + 1.0))
        return window(corner, extent, output_size, scale)

    def to_scale(self, uniform: jax.Array) -> jax.Array:
        """The scale for a sample in [0, 1)."""
        if self.continuous:
            low, high = min(self.scales), max(self.scales)
            return low + uniform * (high - low)
        index = jnp.floor(uniform * len(self.scales)).astype(jnp.int32)
        return jnp.array(self.scales, jnp.float32)[index]

    def reduction(self, size: Size) -> float:
        """The inverse of the smallest scale."""
        return 1.0 / min(self.scales)

    def output_size(self, size: Size) -> Size:
        """The `size` of the transform, or that of the input."""
        return size if self.size is None else self.size
