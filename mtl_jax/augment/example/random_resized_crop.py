"""RandomResizedCrop: shows a random part of an example at a fixed size."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.augment.example.affine_map import AffineMap, window
from mtl_jax.augment.example.geometric import GeometricTransform
from mtl_jax.augment.example.validation import require_size
from mtl_jax.core.example_transform import Size
from mtl_jax.core.validation import are_numbers, require


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop(GeometricTransform):
    """Crops a window of random area and aspect ratio, and resizes it.

    The window has the fraction u of the image's area, uniform in `area`, and the ratio of width
    to height v, log-uniform in `ratio`; a side that is longer than the image's is shortened to
    it. Its position is uniform. Depths are divided by `1 / sqrt(u)`, with u the actual fraction.
    torchvision rounds the window to whole pixels, and samples again up to ten times if it does
    not fit.

    Attributes:
      size: height and width of the output.
      area: least and largest fraction of the image's area.
      ratio: least and largest ratio of width to height.

    Raises:
      BadInput: for a size that is not two integers of at least 1, fractions that are not in
        order in [0.01, 1], or ratios that are not in order in [0.1, 10].

    Reference: Szegedy et al., Going Deeper with Convolutions, CVPR 2015, Section 6: 8 to 100 % of
      the area, ratios of 3/4 to 4/3 (https://arxiv.org/abs/1409.4842).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import example
      >>> crop = example.Joint((example.RandomResizedCrop((8, 8), area=(0.5, 1.0)),))
      >>> scene = example.Example(jnp.ones((12, 16, 3)), {"parts": jnp.ones((12, 16), jnp.int32)})
      >>> cropped = jax.jit(crop)(jax.random.key(0), scene)
      >>> cropped.inputs.shape, int(cropped.labels["parts"].min())
      ((8, 8, 3), 1)
    """

    size: tuple[int, int]
    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self):
        require_size(self)
        for field, low, high in (("area", 0.01, 1.0), ("ratio", 0.1, 10.0)):
            value = getattr(self, field)
            valid = are_numbers(value) and len(value) == 2 and low <= value[0] <= value[1] <= high
            require(valid, self, field, f"must be two numbers in order in {low}..{high}", value)

    def sample(self, key: jax.Array, size: Size) -> AffineMap:
        """The map to a random window."""
        uniform = jax.random.uniform(key, (4,), jnp.float32)
        low, high = self.area
        area = (low + uniform[0] * (high - low)) * (size[0] * size[1])
        low, high = map(math.log, self.ratio)
        root = jnp.exp((low + uniform[1] * (high - low)) / 2)  # Of the ratio.
        whole = jnp.array(size[::-1], jnp.float32)
        extent = jnp.minimum(jnp.sqrt(area) * jnp.stack([root, 1.0 / root]), whole)
        zoom = jnp.sqrt((whole / extent).prod())
        return window(uniform[2:] * (whole - extent), extent, self.size, zoom)

    def reduction(self, size: Size) -> float:
        """The larger reduction of height and width in the largest windows."""
        root = math.sqrt(self.area[1] * size[0] * size[1])
        height = min(root / math.sqrt(self.ratio[0]), size[0])
        width = min(root * math.sqrt(self.ratio[1]), size[1])
        return max(height / self.size[0], width / self.size[1])

    def output_size(self, size: Size) -> Size:
        """The `size` of the transform."""
        return self.size
