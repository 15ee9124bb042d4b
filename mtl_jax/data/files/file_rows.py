"""Examples of which each is a file."""

import functools
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.decode_image import read_image


class FileRows(Rows):
    """Examples that are read from a file each.

    Attributes:
      files: the file of each example; None if it has none.
      read_file: reads an example; a function that can be pickled.
      missing: the value of an example without a file.
    """

    def __init__(
        self,
        files: Sequence[pathlib.Path | None],
        read_file: Callable[[str], np.ndarray],
        shape: tuple[int, ...],
        dtype: type | np.dtype,
        missing: float = 0,
    ):
        """Examples of some files.

        Args:
          files: the file of each example.
          read_file: reads an example.
          shape: the shape of an example.
          dtype: its dtype.
          missing: the value of an example without a file.
        """
        self.files = [None if file is None else os.fspath(file) for file in files]
        self.read_file, self.missing = read_file, missing
        self.shape, self.dtype = (len(files), *shape), np.dtype(dtype)

    def known(self) -> np.ndarray | None:
        """Which examples have a file."""
        known = np.array([file is not None for file in self.files])
        return None if known.all() else known

    def read(self, index: np.ndarray) -> np.ndarray:
        """The examples `[n, ...]` at indices `[n]`.

        Raises:
          BadInput: naming the file, if it cannot be read or is of another shape.
        """
        found = np.full((len(index), *self.shape[1:]), self.missing, self.dtype)
        for row, at in zip(found, index.tolist(), strict=True):
            file = self.files[at]
            if file is not None:
                example = self.read_file(file)
                if example.shape != row.shape:
                    rule = f"must be of shape {list(row.shape)} as {self.files[0]}"
                    raise BadInput(f"{file} {rule}, not {list(example.shape)}")
                row[...] = example
        return found

    def identity(self) -> str:
        """Names and sizes of the files."""
        lines = []
        for file in self.files:
            folder, name = ("", "") if file is None else os.path.split(file)
            size = 0 if file is None else os.stat(file).st_size
            lines.append(f"{os.path.basename(folder)}/{name} {size}")
        return "\n".join(lines)


def image_rows(files: Sequence[pathlib.Path], size: tuple[int, int]) -> FileRows:
    """Images uint8 `[N, *size, 3]`, as `decode_image` gives them."""
    read_file = functools.partial(read_image, size=size)
    return FileRows(files, read_file, (*size, 3), np.uint8)
