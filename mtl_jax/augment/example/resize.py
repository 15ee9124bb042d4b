"""Resize: changes the resolution of an example."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.example.affine_map import AffineMap, window
from mtl_jax.augment.example.geometric import GeometricTransform
from mtl_jax.augment.example.validation import require_size
from mtl_jax.core.example_transform import Size


@dataclasses.dataclass(frozen=True)
class Resize(GeometricTransform):
    """Shows the whole image at another size; there is no randomness.

    Depths are unchanged: the view is the same, only its resolution is not. An image that shrinks
    is averaged; see `mtl_jax.augment.example.resample.read_linear`.

    Attributes:
      size: height and width of the output.

    Raises:
      BadInput: for a size that is not two integers of at least 1.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import example
      >>> half = example.Joint((example.Resize((1, 2)),))
      >>> image = jnp.array([[0.0, 0.5, 1.0, 1.0], [0.0, 0.5, 1.0, 1.0]])[..., None]
      >>> half(jax.random.key(0), example.Example(image, {})).inputs[..., 0].tolist()
      [[0.25, 1.0]]
    """

    size: tuple[int, int]

    def __post_init__(self):
        require_size(self)

    def sample(self, key: jax.Array, size: Size) -> AffineMap:
        """The map of the whole output to the whole source."""
        whole = jnp.array(size[::-1], jnp.float32)
        return window(jnp.zeros(2, jnp.float32), whole, self.size, jnp.float32(1.0))

    def reduction(self, size: Size) -> float:
        """The larger of the reductions of height and width."""
        return max(size[0] / self.size[0], size[1] / self.size[1])

    def output_size(self, size: Size) -> Size:
        """The `size` of the transform."""
        return self.size
