"""A data source whose images are resized."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from mtl_jax.core.data_source import DataSource, Splits, WrappedSource
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.decode_image import require_size
from mtl_jax.data.files.resample import resize


@dataclasses.dataclass(frozen=True)
class Resized(WrappedSource):
    """Wraps a source and resizes its images, by area averaging or linear interpolation.

    See `mtl_jax.data.files.resample.resize`; enlarged images fade to
    black within half an old pixel of the edge. Bytes are rounded and remain bytes, and floats
    remain floats. Labels are unchanged, so sources with dense (per-pixel) labels are not supported.

    Attributes:
      source: wrapped source, with a single input.
      size: height and width of the images.

    Raises:
      BadInput: if it is not a data source, or the size is not two integers of at least 1; and from
        `shapes` and `load` for a multi-input source.

    Example:
      >>> from mtl_jax import data
      >>> data.Resized(data.MNIST5k(), (16, 16)).shapes()["inputs"].shape
      (3000, 16, 16, 1)
    """

    size: tuple[int, int]

    def __post_init__(self):
        valid = isinstance(self.source, DataSource)
        require(valid, self, "source", "must be a source such as data.FashionMNIST()", self.source)
        require_size(self)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        shapes = dict(self.source.shapes())
        check_image(shapes)
        count, _, _, channels = shapes["inputs"].shape
        image = jax.ShapeDtypeStruct((count, *self.size, channels), shapes["inputs"].dtype)
        return {**shapes, "inputs": image}

    def load(self) -> Splits:
        """Reads the source and resizes its images."""
        splits = self.source.load()
        for part in splits:
            check_image(part)
        return Splits(*({**part, "inputs": resize(part["inputs"], self.size)} for part in splits))


def check_image(part: Mapping[str, Any]) -> None:
    """Checks that a part of a source contains images directly."""
    if "inputs" not in part:
        raise BadInput(f'Resized: the source must have "inputs" itself, not {sorted(part)}')
