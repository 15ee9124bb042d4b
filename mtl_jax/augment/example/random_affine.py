"""RandomAffine: rotates, scales, shears and translates an example."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.augment.example.affine_map import AffineMap
from mtl_jax.augment.example.geometric import GeometricTransform
from mtl_jax.core.example_transform import Size
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class RandomAffine(GeometricTransform):
    """Applies a random affine map about the center of image and labels.

    The map is that of `mtl_jax.augment.Affine`, sampled alike. Depths are divided by the scale,
    normals are rotated, and boxes become the smallest upright boxes around the transformed ones.

    Attributes:
      degrees: largest absolute angle, counter-clockwise.
      scale: the scale lies in `1 - scale .. 1 + scale`.
      shear: largest absolute shear, as a fraction.
      translate: largest absolute translation along each side, as a fraction of that side.

    Raises:
      BadInput: for a strength outside its range.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import example
      >>> shake = example.Joint((example.RandomAffine(translate=0.5),))
      >>> scene = example.Example(jnp.ones((8, 8, 3)), {"parts": jnp.ones((8, 8), jnp.int32)})
      >>> sorted({*jax.jit(shake)(jax.random.key(1), scene).labels["parts"].reshape(-1).tolist()})
      [-1, 1]
    """

    degrees: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    translate: float = 0.0

    def __post_init__(self):
        # A scale of 1 could shrink the image to a point, which has no inverse.
        require_number(self, degrees=(0.0, 180.0), scale=(0.0, 0.9))
        require_number(self, shear=(0.0, 1.0), translate=(0.0, 1.0))

    def sample(self, key: jax.Array, size: Size) -> AffineMap:
        """The inverse of a random map."""
        sample = jax.random.uniform(key, (5,), jnp.float32, -1.0, 1.0)
        angle = sample[0] * math.radians(self.degrees)
        zoom = 1.0 + sample[1] * self.scale
        shear = sample[2] * self.shear
        cos, sin = jnp.cos(angle) / zoom, jnp.sin(angle) / zoom
        linear = jnp.array([[cos - shear * sin, -sin - shear * cos], [sin, cos]])
        whole = jnp.array(size[::-1], jnp.float32)
        center = whole / 2
        moved = center + sample[:2:-1] * self.translate * whole
        return AffineMap(linear, center - (linear * moved[None]).sum(1), zoom)

    def reduction(self, size: Size) -> float:
        """The inverse of the smallest scale."""
        return 1.0 / (1.0 - self.scale)
