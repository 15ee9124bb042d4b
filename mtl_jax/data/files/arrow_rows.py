"""Numeric columns of a Parquet or Arrow file, read by row."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput, few

PARQUET, ARROW = (".parquet",), (".arrow", ".feather")


class ArrowFile(NamedTuple):
    """An open file.

    Attributes:
      schema: its columns.
      sizes: gives the numbers of rows of its groups (Parquet) or record batches (Arrow).
      read_group: reads some columns of a group.
    """

    schema: Any
    sizes: Callable[[], list[int]]
    read_group: Callable[[int, Sequence[str]], Any]


def open_file(file: str | pathlib.Path) -> ArrowFile:
    """Opens a file; only its metadata are read.

    Raises:
      BadInput: naming the file, if it cannot be read.
    """
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet

    try:
        if pathlib.Path(file).suffix.lower() in PARQUET:
            parquet = pyarrow.parquet.ParquetFile(file, memory_map=True)
            groups = range(parquet.metadata.num_row_groups)

            def row_counts() -> list[int]:
                return [parquet.metadata.row_group(group).num_rows for group in groups]

            def read_row_group(group: int, columns: Sequence[str]) -> Any:
                return parquet.read_row_group(group, columns=list(columns), use_threads=False)

            return ArrowFile(parquet.schema_arrow, row_counts, read_row_group)
        arrow = pyarrow.ipc.open_file(pyarrow.memory_map(os.fspath(file)))
    except (OSError, pyarrow.ArrowException) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error

    def batch_sizes() -> list[int]:
        return [arrow.get_batch(batch).num_rows for batch in range(arrow.num_record_batches)]

    def read_batch(batch: int, columns: Sequence[str]) -> Any:
        return arrow.get_batch(batch).select(list(columns))

    return ArrowFile(arrow.schema, batch_sizes, read_batch)


def read_column(file: ArrowFile, name: str) -> Any:
    """A whole column, as a `pyarrow.ChunkedArray`."""
    import pyarrow

    parts = [file.read_group(group, [name]).column(0) for group in range(len(file.sizes()))]
    chunks = [c for part in parts for c in getattr(part, "chunks", [part])]
    return pyarrow.chunked_array(chunks, file.schema.field(name).type)


class ArrowRows(Rows):
    """Numeric columns of a file, float32 `[N, D]`.

    A row is read with its row group (Parquet) or from the memory map of the file (Arrow), so
    groups of a Parquet file should have few rows, such as 1,000.

    Attributes:
      file: path of the file.
      columns: names of the columns.
      ends: where the groups of rows end, found once.
    """

    def __init__(self, file: pathlib.Path, columns: Sequence[str]):
        """Columns of a file, which must be numeric.

        Raises:
          BadInput: naming the file, for columns that it does not have, or that are not numbers.
        """
        self.file, self.columns = os.fspath(file), tuple(columns)
        opened = open_file(file)
        require_numeric(file, opened.schema, self.columns)
        self.ends = np.cumsum(opened.sizes(), dtype=int)
        rows = int(self.ends[-1]) if len(self.ends) else 0
        self.shape, self.dtype = (rows, len(self.columns)), np.dtype(np.float32)

    def read(self, index: np.ndarray) -> np.ndarray:
        """The rows float32 `[n, D]` at indices `[n]`.

        Raises:
          BadInput: naming the file and the column, for a number that is missing or not finite.
        """
        opened = open_file(self.file)
        starts = np.concatenate([[0], self.ends])
        groups = np.searchsorted(self.ends, index, "right")
        found = np.empty((len(index), len(self.columns)), np.float32)
        for group in np.unique(groups):
            chosen = groups == group
            places = index[chosen] - starts[group]
            table = opened.read_group(int(group), self.columns).take(places)
            for at, name in enumerate(self.columns):
                values = table.column(at).to_numpy(zero_copy_only=False).astype(np.float32)
                if not np.isfinite(values).all():
                    rule = f"column {name!r} must have finite numbers in every row"
                    raise BadInput(f"{self.file}: {rule}, not {values[~np.isfinite(values)][0]}")
                found[chosen, at] = values
        return found

    def identity(self) -> str:
        """The name and the size of the file, and the columns."""
        size = os.stat(self.file).st_size
        return f"{os.path.basename(self.file)} {size} {self.columns}"


def require_numeric(file: Any, schema: Any, columns: Sequence[str]) -> None:
    """Requires columns of integers, floats or booleans.

    Raises:
      BadInput: naming the file and the columns.
    """
    from pyarrow import types

    kinds = (types.is_integer, types.is_floating, types.is_boolean)
    missing = [name for name in columns if name not in schema.names]
    if missing:
        rule = f"must have columns {few(missing, 5)}; it has {few(schema.names, 10)}"
        raise BadInput(f"{file} {rule}")
    other = [name for name in columns if not any(is_(schema.field(name).type) for is_ in kinds)]
    if other:
        kind = schema.field(other[0]).type
        rule = "must be numeric, or be named by labels or skip"
        raise BadInput(f"{file}: columns {few(other, 5)} {rule}, not {kind}")
