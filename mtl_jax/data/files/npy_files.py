"""A data source for arrays in `.npy` files, which may be larger than the memory."""

import dataclasses
import os
import pathlib
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.arrays import TYPES, Arrays, require_channels_last
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.labels import as_signed


@dataclasses.dataclass(frozen=True)
class NpyFiles(DataSource):
    """Arrays in files `path/<part>/<name>.npy`, for the parts train, validation and test.

    Each part has the inputs, `inputs.npy`, and the labels by name, all of one length N. Shapes and
    types are those of `Arrays`. On disk (`Execution.data_location`), examples are read by memory
    map: of inputs, and of labels with more than two axes.

    Attributes:
      path: path of the folder.

    Raises:
      BadInput: for a path that is no string; and from `shapes`, `open_splits` and `load` for a part that
        does not exist, a file that cannot be read, inputs of a kind that `Arrays` does not take,
        or parts that differ in files, shapes or types; from `load` as `Arrays`.

    Example:
      >>> from mtl_jax import data
      >>> data.NpyFiles("embeddings")
      NpyFiles(path='embeddings')
    """

    path: str

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; only headers are read."""
        return {
            name: jax.ShapeDtypeStruct(
                rows.shape,
                rows.dtype if name == "inputs" else as_signed(np.empty(0, rows.dtype)).dtype,
            )
            for name, rows in self.parts()["train"].items()
        }

    def load(self) -> Splits:
        """Reads the arrays."""
        parts = {
            part: {name: np.asarray(rows) for name, rows in own.items()}
            for part, own in self.parts().items()
        }
        return Arrays(**parts).load()

    def open_splits(self) -> Splits:
        """The same with large arrays that are read when needed, whose values are not checked."""
        return Splits(
            **{
                part: {
                    name: rows if name == "inputs" or rows.ndim > 2 else as_signed(np.asarray(rows))
                    for name, rows in own.items()
                }
                for part, own in self.parts().items()
            }
        )

    def parts(self) -> dict[str, dict[str, "NpyRows"]]:
        """The files of each part, checked by their headers."""
        root = expand_path(self.path)
        require(root.is_dir(), self, "path", "must be a folder", self.path)
        parts = {part: self.part(root / part) for part in Splits._fields}
        train = {name: (rows.shape[1:], rows.dtype) for name, rows in parts["train"].items()}
        for part, own in parts.items():
            found = {name: (rows.shape[1:], rows.dtype) for name, rows in own.items()}
            for name in sorted({*train, *found}):
                if train.get(name) != found.get(name):
                    rule = f"must be as in train, {train.get(name, 'not there')}"
                    found_text = found.get(name, "not there")
                    raise BadInput(f"{root / part / name}.npy {rule}, not {found_text}")
        return parts

    def part(self, folder: pathlib.Path) -> dict[str, "NpyRows"]:
        """The files of a part."""
        files = sorted(folder.glob("*.npy"))
        rows = {file.stem: NpyRows(file) for file in files}
        inputs = rows.get("inputs")
        if inputs is None:
            raise BadInput(f"{folder / 'inputs.npy'} must exist")
        types, description = TYPES.get(inputs.ndim, ((), "an array of 2 to 4 axes"))
        if str(inputs.dtype) not in types:
            shape = f"{inputs.dtype} {list(inputs.shape)}"
            raise BadInput(f"{inputs.file} must hold {description}, not {shape}")
        require_channels_last(inputs.file, inputs.shape)
        for own in rows.values():
            if len(own) != len(inputs):
                raise BadInput(f"{own.file} must have {len(inputs)} rows, not {len(own)}")
        return rows


class NpyRows(Rows):
    """Examples of an array in a file.

    Attributes:
      file: path of the file.
      offset: where its numbers begin.
      order: order of the numbers, "C" or "F".
    """

    takes_python = False

    def __init__(self, file: pathlib.Path):
        """The array in a file.

        Raises:
          BadInput: if it cannot be read, or holds no numbers `[N, ...]`.
        """
        self.file = os.fspath(file)
        try:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BadInput(f"{file} cannot be read as an array: {error}") from error
        if array.ndim == 0 or array.dtype.kind not in "fiub" or array.size == 0:
            shape = f"{array.dtype} {list(array.shape)}"
            raise BadInput(f"{file} must have numbers [N, ...], not {shape}")
        self.shape, self.dtype, self.offset = array.shape, array.dtype, array.offset
        self.order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"

    def read(self, index: np.ndarray) -> np.ndarray:
        """The examples `[n, ...]` at indices `[n]`."""
        # A new map each time: what is read of one counts as memory of the process until it ends.
        # Not by `np.load`, whose parser fails in threads of Python 3.11.
        array: np.ndarray = np.memmap(
            self.file, self.dtype, "r", self.offset, self.shape, self.order
        )
        return np.asarray(array[index])

    def identity(self) -> str:
        """The name and the size of the file."""
        return f"{os.path.basename(self.file)} {os.stat(self.file).st_size}"
