"""Base classes of transforms of an example, which move its labels with its image."""

import abc
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax

LabelKind = Literal["classes", "map", "depth", "normals", "boxes", "value"]
Kinds = Mapping[str, LabelKind]
Size = tuple[int, int]  # Height and width.


class Example(NamedTuple):
    """An image and its labels; all fields have a leading axis `[N, ...]` in a batch.

    Attributes:
      inputs: `[H, W, C]`, floats in [0, 1] or uint8.
      labels: by task, of one of these kinds:
        "classes": signed integers `[H, W, ...]`, negative where missing; read at the nearest pixel.
        "map": floats `[H, W, ...]`, NaN where missing; interpolated.
        "depth": floats `[H, W, ...]`, NaN where missing; read at the nearest pixel, and divided
          by the zoom.
        "normals": floats `[H, W, 3]` along the directions of columns (to the right), rows (down)
          and depth; read at the nearest pixel, and turned and mirrored as the image is.
        "boxes": floats `[M, 5]`, a class, x0, y0, x1 and y1 in pixels, with class -1 where there
          is none. Pixel `(i, j)` covers the box j, i, j + 1, i + 1.
        "value": of the image as a whole; unchanged.
    """

    inputs: Any
    labels: dict[str, Any]


class ExampleTransform(abc.ABC):
    """A random transform of one example; `mtl_jax.augment.example.Joint` applies several."""

    @abc.abstractmethod
    def __call__(self, key: jax.Array, example: Example, kinds: Kinds, /) -> Example:
        """Maps a key `[]` and one example to an example; `kinds` has the kind of each label.

        A pixel from outside the image is 0, and its labels are missing. Boxes may reach beyond
        the image, so that after all transforms it is known which part of each is left.
        """

    def apply_batched(self, keys: jax.Array, examples: Example, kinds: Kinds, /) -> Example:
        """Maps keys `[N]` and a batch of examples to a batch of examples."""
        return jax.vmap(lambda key, example: self(key, example, kinds))(keys, examples)

    def output_size(self, size: Size, /) -> Size:
        """Height and width of the output for those of the input; the same by default."""
        return size


class JointPolicy(abc.ABC):
    """A random augmentation of an example with all of its labels; the caller vmaps it."""

    @abc.abstractmethod
    def __call__(self, key: jax.Array, example: Example, /) -> Example:
        """Maps a key `[]` and one example to an example."""

    def apply_batched(self, keys: jax.Array, examples: Example, /) -> Example:
        """Maps keys `[N]` and a batch of examples to a batch of examples."""
        return jax.vmap(self)(keys, examples)
