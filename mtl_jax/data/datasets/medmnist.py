"""MedMNIST: medical images in `.npz` files of one layout."""

import dataclasses
import pathlib
import zipfile
from typing import Any

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.paths import expand_path

PARTS = {"train": "train", "validation": "val", "test": "test"}


@dataclasses.dataclass(frozen=True)
class MedMNIST(DataSource):
    """A data set of MedMNIST: "inputs" uint8 `[N, H, W, C]`, and a label.

    Its file holds `train_images`, `train_labels` and the same of `val` and `test`. Images
    `[N, H, W]` get an axis of one channel, and volumes `[N, D, H, W]` of the 3-D sets too. With one
    label per image it is a class, int32 `[N]`; with L of them, as in ChestMNIST, each is there or
    not, float32 `[N, L]` of 0 and 1.

    Attributes:
      path: path of the file, such as "pathmnist.npz" or "pathmnist_64.npz", from
        https://zenodo.org/records/10519652.
      label: name of the label.

    Raises:
      BadInput: for a path that is no string, or a label that is empty or "inputs"; and from
        `shapes` and `load`, naming the file, if it does not exist, is damaged, lacks an array, or
        has arrays of another kind.

    Reference: Yang et al., MedMNIST v2, Scientific Data 2023, Section "Data Records"
      (https://doi.org/10.1038/s41597-022-01721-8).

    Example:
      >>> from mtl_jax import data
      >>> data.MedMNIST("bloodmnist.npz", label="cell")
      MedMNIST(path='bloodmnist.npz', label='cell')
    """

    path: str
    label: str = "label"

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        valid = isinstance(self.label, str) and self.label not in ("", "inputs")
        require(valid, self, "label", 'must be a name other than "inputs"', self.label)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; the headers of its arrays are read."""
        file = self.file()
        images, labels = (read_header(file, f"train_{name}") for name in ("images", "labels"))
        check_arrays(file, "train", images, labels)
        count, *sides = images.shape
        shape = (count, *sides) if is_color(images.shape) else (count, *sides, 1)
        label = jax.ShapeDtypeStruct((count,), np.int32)
        if labels.shape[1] > 1:
            label = jax.ShapeDtypeStruct(labels.shape, np.float32)
        return {"inputs": jax.ShapeDtypeStruct(shape, np.uint8), self.label: label}

    def load(self) -> Splits:
        """Reads the images and the labels."""
        return Splits(*(self.read_part(name) for name in PARTS.values()))

    def file(self) -> pathlib.Path:
        """The file, which must exist."""
        file = expand_path(self.path)
        require(file.is_file(), self, "path", "must be a file", self.path)
        return file

    def read_part(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of one part."""
        file = self.file()
        try:
            with np.load(file, allow_pickle=False) as arrays:
                images, labels = arrays[f"{name}_images"], arrays[f"{name}_labels"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise damage_error(file, name, error) from error
        check_arrays(file, name, images, labels)
        images = images if is_color(images.shape) else images[..., None]
        if labels.shape[1] > 1:
            return {"inputs": images, self.label: labels.astype(np.float32)}
        return {"inputs": images, self.label: labels[:, 0].astype(np.int32)}


def read_header(file: pathlib.Path, name: str) -> jax.ShapeDtypeStruct:
    """Shape and type of an array in a `.npz` file, from its header."""
    try:
        with zipfile.Path(file, f"{name}.npy").open("rb") as content:
            version = np.lib.format.read_magic(content)
            readers = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            shape, _, dtype = readers[version](content)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise damage_error(file, name, error) from error
    return jax.ShapeDtypeStruct(shape, dtype)


def damage_error(file: pathlib.Path, name: str, error: Exception) -> BadInput:
    """The error for a file that cannot be read."""
    return BadInput(f"{file} must be a .npz file of MedMNIST with the arrays of {name!r}: {error}")


def check_arrays(file: pathlib.Path, part: str, images: Any, labels: Any) -> None:
    """Checks the shapes and types of a part's arrays."""
    valid = images.dtype == np.uint8 and len(images.shape) in (3, 4) and images.shape[0] > 0
    valid = valid and labels.dtype.kind in "iu" and len(labels.shape) == 2
    valid = valid and labels.shape[0] == images.shape[0] and labels.shape[1] > 0
    if not valid:
        actual = [f"{array.dtype} {list(array.shape)}" for array in (images, labels)]
        rule = "must have images uint8 [N, ...] and labels of integers [N, L]"
        raise BadInput(f"{file}: {part} {rule}, not {' and '.join(actual)}")


def is_color(shape: tuple[int, ...]) -> bool:
    """Whether images have a channel axis."""
    return len(shape) == 4 and shape[-1] == 3
