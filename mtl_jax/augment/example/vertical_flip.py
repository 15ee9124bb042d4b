"""VerticalFlip: mirrors an example top to bottom at random."""

import dataclasses

import jax

from mtl_jax.augment.example.affine_map import AffineMap
from mtl_jax.augment.example.geometric import GeometricTransform
from mtl_jax.augment.example.horizontal_flip import sample_mirror
from mtl_jax.core.example_transform import Size
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class VerticalFlip(GeometricTransform):
    """Mirrors image and labels top to bottom: `out[i, j] = image[H - 1 - i, j]`.

    The y component of normals changes its sign.

    Attributes:
      probability: that an example is mirrored.

    Raises:
      BadInput: for a probability outside [0, 1].

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import example
      >>> flip = example.Joint((example.VerticalFlip(1.0),), kinds=(("surface", "normals"),))
      >>> labels = {"surface": jnp.array([[[0.0, 0.6, 0.8]]])}
      >>> flipped = flip(jax.random.key(0), example.Example(jnp.zeros((1, 1, 3)), labels))
      >>> [round(float(part), 1) for part in flipped.labels["surface"][0, 0]]
      [0.0, -0.6, 0.8]
    """

    probability: float = 0.5

    def __post_init__(self):
        require_number(self, probability=(0.0, 1.0))

    def sample(self, key: jax.Array, size: Size) -> AffineMap:
        """`y -> H - y` with this probability, else the identity."""
        return sample_mirror(key, self.probability, axis=1, length=size[0])
