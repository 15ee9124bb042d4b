"""Base class of geometric transforms, and their composition, which reads the image only once."""

import abc
import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.example.affine_map import AffineMap, compose, nearest_orthogonal
from mtl_jax.augment.example.boxes import move_boxes
from mtl_jax.augment.example.resample import read_linear, read_nearest
from mtl_jax.augment.image.validation import as_floats, like, require_image
from mtl_jax.core.example_transform import Example, ExampleTransform, Kinds, LabelKind, Size
from mtl_jax.core.validation import require


class GeometricTransform(ExampleTransform):
    """An affine transform of an example; a subclass samples its map."""

    @abc.abstractmethod
    def sample(self, key: jax.Array, size: Size, /) -> AffineMap:
        """A random map from the output to a source of a given height and width."""

    def reduction(self, size: Size, /) -> float:
        """The most source pixels along an output pixel for an input of this size; 1 by default."""
        return 1.0

    def __call__(self, key: jax.Array, example: Example, kinds: Kinds) -> Example:
        """Maps a key `[]` and one example to a transformed one; see `ExampleTransform`."""
        require_image(self, example.inputs)
        size = example.inputs.shape[:2]
        mapping, output_size = self.sample(key, size), self.output_size(size)
        floats = as_floats(example.inputs)
        image = read_linear(floats, mapping, output_size, 0.0, self.reduction(size)).clip(0.0, 1.0)
        labels = {
            name: self.transform_label(kinds[name], label, mapping, size)
            for name, label in example.labels.items()
        }
        return Example(like(image, example.inputs), labels)

    def transform_label(
        self, kind: LabelKind, label: jax.Array, mapping: AffineMap, size: Size
    ) -> jax.Array:
        """Transforms one label of an image of a given size."""
        if kind == "value":
            return label
        if kind == "boxes":
            return move_boxes(label, mapping)
        output_size = self.output_size(size)
        if kind == "classes":
            return read_nearest(label, mapping, output_size, -1)
        nearest = read_nearest(label, mapping, output_size, jnp.nan)
        if kind == "depth":
            return nearest / mapping.zoom.astype(label.dtype)
        if kind == "normals":
            return turn_normals(nearest, mapping)
        # Next to a missing entry, where nothing can be interpolated, as much is known as before.
        values = read_linear(label, mapping, output_size, jnp.nan, self.reduction(size))
        return jnp.where(jnp.isnan(values), nearest, values)


def turn_normals(normals: jax.Array, mapping: AffineMap) -> jax.Array:
    """Turns and mirrors normals `[h, w, 3]` as an image is turned and mirrored by the map."""
    # The map is from output to source; its transpose is the inverse of a rotation.
    rotation = nearest_orthogonal(mapping.linear).T.astype(normals.dtype)
    x, y, z = (normals[..., axis] for axis in range(3))
    across = rotation[0, 0] * x + rotation[0, 1] * y
    down = rotation[1, 0] * x + rotation[1, 1] * y
    return jnp.stack([across, down, z], axis=-1)


@dataclasses.dataclass(frozen=True)
class Composed(GeometricTransform):
    """Geometric transforms in sequence, composed to one map: the image is interpolated once.

    A later transform may so bring back into view what an earlier one moved out.

    Attributes:
      transforms: each with its own key, derived from its index.
    """

    transforms: tuple[GeometricTransform, ...]

    def __post_init__(self):
        valid = all(isinstance(transform, GeometricTransform) for transform in self.transforms)
        require(valid, self, "transforms", "must be geometric transforms", self.transforms)

    def sample(self, key: jax.Array, size: Size) -> AffineMap:
        """A random map from the output to a source of a given height and width."""
        identity = jnp.eye(2, dtype=jnp.float32), jnp.zeros(2, jnp.float32), jnp.float32(1.0)
        mapping = AffineMap(*identity)
        for index, transform in enumerate(self.transforms):
            mapping = compose(mapping, transform.sample(jax.random.fold_in(key, index), size))
            size = transform.output_size(size)
        return mapping

    def reduction(self, size: Size) -> float:
        """The product of the reductions."""
        product = 1.0
        for transform in self.transforms:
            product *= transform.reduction(size)
            size = transform.output_size(size)
        return product

    def output_size(self, size: Size) -> Size:
        """Height and width of the output of the last transform."""
        for transform in self.transforms:
            size = transform.output_size(size)
        return size
