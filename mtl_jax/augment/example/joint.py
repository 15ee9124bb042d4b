"""Joint: transforms of an image with all of its labels."""

import dataclasses
import itertools

import jax

from mtl_jax.augment.example.boxes import clip_to_image
from mtl_jax.augment.example.geometric import Composed, GeometricTransform
from mtl_jax.augment.example.validation import kinds_of, require_kinds
from mtl_jax.augment.image.validation import require_image
from mtl_jax.core.example_transform import (
    Example,
    ExampleTransform,
    JointPolicy,
    LabelKind,
    Size,
)
from mtl_jax.core.validation import require, require_number


@dataclasses.dataclass(frozen=True)
class Joint(JointPolicy):
    """Applies transforms to one example: the labels stay those of what the image shows.

    Geometric transforms that follow each other are composed to one map, so that the image is
    interpolated once. Labels of pixels from outside the image are missing. At the end boxes are
    clipped to the image. `Example` describes the kinds of labels.

    Attributes:
      transforms: applied in order, each with its own key; an empty tuple is the identity.
      kinds: pairs of a label and its kind. For labels that are not named it follows from shape
        and dtype: of the image's height and width, signed integers are "classes" and floats a
        "map"; a number or a vector is a "value". Depths, normals and boxes must be named.
      min_visible: a box is dropped if a smaller fraction of its area is left.

    Raises:
      BadInput: for anything other than transforms, an unknown kind or a fraction outside [0, 1];
        when called, for a kind of no label, a label that does not fit its kind, or one whose
        kind does not follow.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> from mtl_jax.augment import example
      >>> joint = example.Joint(
      ...     (example.RandomScaleCrop(), example.HorizontalFlip(),
      ...      example.OnImage(augment.ColorJitter(brightness=0.2))),
      ...     kinds=(("depth", "depth"), ("surface", "normals")),
      ... )
      >>> labels = {"parts": jnp.zeros((2, 6, 8), jnp.int32), "depth": jnp.ones((2, 6, 8))}
      >>> labels["surface"] = jnp.zeros((2, 6, 8, 3))
      >>> rooms = example.Example(jnp.ones((2, 6, 8, 3)), labels)
      >>> out = jax.jit(jax.vmap(joint))(jax.random.split(jax.random.key(0), 2), rooms)
      >>> out.inputs.shape, out.labels["surface"].shape
      ((2, 6, 8, 3), (2, 6, 8, 3))
    """

    transforms: tuple[ExampleTransform, ...]
    kinds: tuple[tuple[str, LabelKind], ...] = ()
    min_visible: float = 0.25

    def __post_init__(self):
        valid = isinstance(self.transforms, tuple) and all(
            isinstance(transform, ExampleTransform) for transform in self.transforms
        )
        require(valid, self, "transforms", "must be a tuple of transforms", self.transforms)
        require_kinds(self)
        require_number(self, min_visible=(0.0, 1.0))

    def __call__(self, key: jax.Array, example: Example) -> Example:
        """Maps a key `[]` and one example to a transformed one; vmap it with a key for each."""
        require_image(self, example.inputs)
        kinds = self.kinds_of(example)
        for index, stage in enumerate(self.stages()):
            example = stage(jax.random.fold_in(key, index), example, kinds)
        return self.clip(example, kinds)

    def apply_batched(self, keys: jax.Array, examples: Example) -> Example:
        """Batched call for keys `[N]`; faster than `jax.vmap` for policies with branches."""
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), examples)
        require_image(self, shapes.inputs)
        kinds = self.kinds_of(shapes)
        for index, stage in enumerate(self.stages()):
            stage_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
            examples = stage.apply_batched(stage_keys, examples, kinds)
        return jax.vmap(lambda example: self.clip(example, kinds))(examples)

    def stages(self) -> list[ExampleTransform]:
        """The transforms, with neighboring geometric ones composed."""
        stages: list[ExampleTransform] = []
        for _, group in itertools.groupby(self.transforms, is_geometric):
            own = list(group)
            geometric = tuple(each for each in own if isinstance(each, GeometricTransform))
            stages += [Composed(geometric)] if geometric else own
        return stages

    def kinds_of(self, example: Example) -> dict[str, LabelKind]:
        """The kind of each label of one example, or of its shapes."""
        return kinds_of(self, dict(self.kinds), example.inputs.shape[:2], example.labels)

    def clip(self, example: Example, kinds: dict[str, LabelKind]) -> Example:
        """Clips boxes to the image, and drops those of which too little is left."""
        size = example.inputs.shape[:2]
        labels = {
            name: clip_to_image(label, size, self.min_visible) if kinds[name] == "boxes" else label
            for name, label in example.labels.items()
        }
        return example._replace(labels=labels)

    def output_size(self, size: Size) -> Size:
        """Height and width of the output for those of the input."""
        for transform in self.transforms:
            size = transform.output_size(size)
        return size


def is_geometric(transform: ExampleTransform) -> bool:
    """Whether a transform moves pixels."""
    return isinstance(transform, GeometricTransform)
