"""HorizontalFlip: mirrors an example left to right at random."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.example.affine_map import AffineMap
from mtl_jax.augment.example.geometric import GeometricTransform
from mtl_jax.core.example_transform import Size
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class HorizontalFlip(GeometricTransform):
    """Mirrors image and labels left to right: `out[i, j] = image[i, W - 1 - j]`.

    The x component of normals changes its sign.

    Attributes:
      probability: that an example is mirrored.

    Raises:
      BadInput: for a probability outside [0, 1].

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import example
      >>> flip = example.Joint((example.HorizontalFlip(1.0),), kinds=(("cell", "boxes"),))
      >>> labels = {"parts": jnp.array([[0, 1, 2]]), "cell": jnp.array([[0.0, 0.0, 0.0, 1.0, 1.0]])}
      >>> flipped = flip(jax.random.key(0), example.Example(jnp.zeros((1, 3, 1)), labels))
      >>> flipped.labels["parts"].tolist(), flipped.labels["cell"].tolist()
      ([[2, 1, 0]], [[0.0, 2.0, 0.0, 3.0, 1.0]])
    """

    probability: float = 0.5

    def __post_init__(self):
        require_number(self, probability=(0.0, 1.0))

    def sample(self, key: jax.Array, size: Size) -> AffineMap:
        """`x -> W - x` with this probability, else the identity."""
        return sample_mirror(key, self.probability, axis=0, length=size[1])


def sample_mirror(key: jax.Array, probability: float, axis: int, length: int) -> AffineMap:
    """Mirrors x (axis 0) or y (axis 1), a side of a given length, with a probability."""
    is_flipped = jax.random.bernoulli(key, jnp.float32(probability))
    mirrored = is_flipped & (jnp.arange(2) == axis)
    linear = jnp.diag(jnp.where(mirrored, jnp.float32(-1.0), 1.0))
    offset = jnp.where(mirrored, jnp.float32(length), 0.0)
    return AffineMap(linear, offset, jnp.float32(1.0))
