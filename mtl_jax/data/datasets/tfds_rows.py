"""Images of TensorFlow Datasets that are decoded when they are read."""

import functools
import io
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput
from mtl_jax.data.datasets.tfds_builder import open_builder
from mtl_jax.data.files.decode_image import decode_image


class TfdsImages(NamedTuple):
    """Images of a part of a data set."""

    name: str  # Of the data set.
    data_dir: str
    split: str
    feature: str


class TfdsRows(Rows):
    """Images of a data set, uint8 `[N, H, W, C]`.

    Attributes:
      images: which images.
      size: height and width that they are resized to, or None.
    """

    def __init__(
        self, images: TfdsImages, shape: tuple[int, ...], size: tuple[int, int] | None = None
    ):
        """Images of a data set.

        Args:
          images: which images.
          shape: the shape `[N, H, W, C]`.
          size: height and width that they are resized to; None if all have one size.
        """
        self.images, self.size = images, size
        self.shape, self.dtype = shape, np.dtype(np.uint8)

    def read(self, index: np.ndarray) -> np.ndarray:
        """The images `[n, H, W, C]` at indices `[n]`.

        Raises:
          BadInput: for an image that is damaged, or of another size.
        """
        name, _, split, feature = self.images
        found = np.empty((len(index), *self.shape[1:]), np.uint8)
        for row, at, example in zip(found, index, records(self.images, index), strict=True):
            where = f"image {at + 1} of {name!r}, {split!r},"
            image = decode_image(io.BytesIO(example[feature]), self.shape[-1], self.size, where)
            if image.shape != row.shape:
                rule = f"must have the size {row.shape[:2]} of the first one, or give Tfds.size"
                raise BadInput(f"{where} {rule}, not {image.shape[:2]}")
            row[...] = image
        return found

    def identity(self) -> str:
        """The name and the split."""
        return f"{self.images.name}/{self.images.split}/{self.images.feature}"


def records(images: TfdsImages, index: np.ndarray) -> list[dict[str, Any]]:
    """The examples at indices `[n]`, with encoded images."""
    return opened(images).__getitems__(index.tolist())


@functools.lru_cache(maxsize=16)
def opened(images: TfdsImages) -> Any:
    """The data source of images, opened once in each process."""
    builder = open_builder(images.name, images.data_dir)
    return encoded_images(builder, images.split, images.feature)


def encoded_images(builder: Any, split: str, feature: str) -> Any:
    """The data source of a split, whose images remain encoded."""
    import tensorflow_datasets as tfds

    # Pillow decodes: TFDS would do the same, and log a hint to install OpenCV.
    decoders = {feature: tfds.decode.SkipDecoding()}
    return builder.as_data_source(split, decoders=decoders)
