"""A source whose images are brought to another size."""

import dataclasses

import jax
import numpy as np

from mtl_jax.core.protocols import Source, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.decode_image import require_size
from mtl_jax.data.files.resample import resample
from mtl_jax.data.join_names import Names, classes_of

AT_ONCE = 4096  # Images; floats of all of them need four times the memory of bytes.


@dataclasses.dataclass(frozen=True)
class Resized:
    """Another source at another size, by averaging of areas or by linear interpolation.

    See `mtl_jax.data.files.resample.resample`, here of whole images; what is enlarged fades to black
    within half an old pixel of the edge. Bytes stay bytes, rounded, and floats floats. Labels
    stay as they are, so a source of maps over the pixels is not one for this.

    Attributes:
      source: of one input.
      size: height and width of the images.

    Raises:
      BadInput: for what is no source, or a size that is not two whole numbers of at least 1; and
        from `shapes` and `load` for a source that has streams itself.
    """

    source: Source
    size: tuple[int, int]

    def __post_init__(self):
        fine = hasattr(self.source, "load") and not isinstance(self.source, type)
        require(fine, self, "source", "must be a source such as data.FashionMNIST()", self.source)
        require_size(self)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        told = dict(self.source.shapes())
        check_image(told)
        count, _, _, channels = told["image"].shape
        image = jax.ShapeDtypeStruct((count, *self.size, channels), told["image"].dtype)
        return {**told, "image": image}

    def known(self) -> int:
        """How many examples have a label, if the source says."""
        told = getattr(self.source, "known", None)
        return self.shapes()["image"].shape[0] if told is None else told()

    def pools(self) -> dict[str, np.ndarray]:
        """Which training images come without labels, if the source says."""
        return self.source.pools() if hasattr(self.source, "pools") else {}

    def classes(self) -> dict[str, Names]:
        """The classes of labels whose names the source tells, in the order of their integers."""
        return classes_of(self.source)

    def load(self) -> Splits:
        """Reads the source and brings its images to the size."""
        read = self.source.load()
        for part in read:
            check_image(part)
        return Splits(*({**part, "image": resized(part["image"], self.size)} for part in read))


def check_image(part) -> None:
    """Requires that a part of a source has images itself."""
    if "image" not in part:
        raise BadInput(f'Resized: the source must have "image" itself, not {sorted(part)}')


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whole images `[N, H, W, C]` at another size, `[N, *size, C]`, of the same type."""
    low, high = np.zeros((1, 2)), np.array([images.shape[1:3]], float)
    new = np.empty((len(images), *size, images.shape[-1]), images.dtype)
    for first in range(0, len(images), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        floats = resample(images[rows].astype(np.float32), low, high, size)
        new[rows] = floats if images.dtype.kind == "f" else np.rint(floats)
    return new
