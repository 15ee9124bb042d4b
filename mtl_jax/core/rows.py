"""Examples that are read from files when they are needed, in place of an array in memory."""

import abc
from collections.abc import Callable
from typing import Any

import numpy as np


class Rows(abc.ABC):
    """Examples `[N, ...]` with random access, such as images that are decoded when they are read.

    A data source may return them from `DataSource.open_splits` in place of an array. They are sent to
    worker processes by pickling, so they should hold names of files rather than open ones.

    Attributes:
      shape: the shape `[N, ...]` of all examples.
      dtype: their dtype.
      takes_python: whether reading takes the time of Python, so that processes read faster than
        threads.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    takes_python: bool = True

    @abc.abstractmethod
    def read(self, index: np.ndarray) -> np.ndarray:
        """The examples `[n, ...]` at indices `[n]`."""

    @abc.abstractmethod
    def identity(self) -> str:
        """A text that differs if the examples do, made without reading them all."""

    def known(self) -> np.ndarray | None:
        """Mask `[N]` of the examples that are there, of labels of which some are missing as a whole.

        None if all are there.
        """
        return None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Reads the examples at an integer, a slice, a mask or integers, as NumPy indexes arrays."""
        places = indices_of(index, len(self))
        found = self.read(np.atleast_1d(places))
        return found[0] if places.ndim == 0 else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Reads all examples."""
        return np.asarray(self.read(np.arange(len(self))), dtype)

    def select(self, index: np.ndarray) -> "Rows":
        """The examples at indices `[n]`, not read yet."""
        return SelectedRows(self, np.asarray(index))


def indices_of(index: Any, size: int) -> np.ndarray:
    """The indices from 0 that NumPy's basic or advanced index of the first axis stands for.

    Raises:
      IndexError: for an index out of range, or a mask of another length.
    """
    if isinstance(index, slice):
        return np.arange(*index.indices(size))
    index = np.asarray(index)
    if index.dtype == bool:
        if index.shape != (size,):
            raise IndexError(f"a mask must have shape {(size,)}, not {index.shape}")
        return np.flatnonzero(index)
    if index.size and not (-size <= index.min() and index.max() < size):
        raise IndexError(
            f"indices must lie in -{size}..{size - 1}, not {index.min()}..{index.max()}"
        )
    return np.where(index < 0, index + size, index).astype(int)


class WrappedRows(Rows):
    """Rows that change others, and forward to them what they do not define.

    Attributes:
      rows: the others.
    """

    def __init__(self, rows: Rows):
        self.rows, self.takes_python = rows, rows.takes_python
        self.shape, self.dtype = rows.shape, rows.dtype

    def known(self) -> np.ndarray | None:
        """Which of the others are there."""
        return self.rows.known()

    def identity(self) -> str:
        """The identity of the others."""
        return self.rows.identity()


class SelectedRows(WrappedRows):
    """Some of the examples of others.

    Attributes:
      index: indices `[n]` of the selected ones.
    """

    def __init__(self, rows: Rows, index: np.ndarray):
        super().__init__(rows)
        self.index, self.shape = index, (len(index), *rows.shape[1:])

    def known(self) -> np.ndarray | None:
        """Which of them are there."""
        known = self.rows.known()
        return None if known is None else known[self.index]

    def read(self, index: np.ndarray) -> np.ndarray:
        """The examples `[n, ...]` at indices `[n]`."""
        return self.rows.read(self.index[index])

    def identity(self) -> str:
        """The identity of the others, with the indices."""
        return f"{self.rows.identity()}{self.index.tolist()}"


class ConvertedRows(WrappedRows):
    """Examples that are converted when they are read, by the process that trains.

    Attributes:
      convert: maps `[n, ...]` to `[n, ...]`.
    """

    def __init__(
        self,
        rows: Rows,
        convert: Callable[[np.ndarray], np.ndarray],
        shape: tuple[int, ...],
        dtype: np.dtype,
    ):
        super().__init__(rows)
        self.convert, self.shape, self.dtype = convert, shape, dtype

    def read(self, index: np.ndarray) -> np.ndarray:
        """The converted examples `[n, ...]` at indices `[n]`."""
        return self.convert(self.rows.read(index))


def read_rows(array: np.ndarray | Rows, index: np.ndarray) -> np.ndarray:
    """The examples `[n, ...]` at indices `[n]` of an array or of `Rows`."""
    return array.read(index) if isinstance(array, Rows) else array[index]


def select_rows(array: Any, index: np.ndarray) -> Any:
    """The examples at indices `[n]`: an array of an array, or `Rows` that are not read yet."""
    return array.select(index) if isinstance(array, Rows) else array[index]
