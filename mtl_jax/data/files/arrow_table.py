"""A data source for tables in Parquet or Arrow files, which may be larger than the memory."""

import dataclasses
import pathlib
from typing import Any

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.rows import select_rows
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.arrow_rows import (
    ARROW,
    PARQUET,
    ArrowFile,
    ArrowRows,
    open_file,
    read_column,
    require_numeric,
)
from mtl_jax.data.files.column_splits import files_of, require_columns
from mtl_jax.data.random_split import generator, stratified_split

Names = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class ArrowTable(DataSource):
    """Rows of Parquet or Arrow files: "inputs" `[N, D]` float32, and labels `[N]`.

    `path` is either a file (`.parquet`, or `.arrow` and `.feather` in Arrow's file format), which is
    split at random, stratified by the first of `labels`; or a folder with one file per part, called
    train, validation (or val, dev, valid) and test. Columns that no field names are features; they
    are numeric and have a value in every row, are not standardized, and on disk
    (`Execution.data_location`) are read when they are needed.

    A label is a class, as its index among the sorted classes of all parts, int32 and -1 where null
    (see `classes`); or a continuous target, float32 and NaN where null.

    Attributes:
      path: path of the file or the folder.
      labels: columns of classes, strings or integers; () if all labels are continuous.
      numbers: columns of continuous targets.
      skip: columns to omit.
      validation: fraction of the validation part of a random split.
      test: fraction of the test part of a random split.
      seed: seed of the random split.

    Raises:
      BadInput: for a setting of the wrong type, no label, a column named twice, fractions outside
        (0, 1) or that leave no training part, or a negative seed; and from `shapes`, `open_splits` and
        `load` for a file that cannot be read, columns that are missing, differ between parts or are
        of another kind; and for a feature that is null or not finite, where it is read.

    Example:
      >>> from mtl_jax import data
      >>> data.ArrowTable("clicks", labels=("clicked", "bought")).fields()
      {'labels': ('clicked', 'bought'), 'numbers': (), 'skip': ()}
    """

    path: str
    labels: tuple[str, ...] = ("y",)
    numbers: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self):
        require_columns(self, **self.fields())

    def fields(self) -> dict[str, tuple[str, ...]]:
        """Column names by field."""
        return {field: getattr(self, field) for field in ("labels", "numbers", "skip")}

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; labels are read for a random split."""
        files = self.files()
        features, count = self.features(files), sum(open_file(files[0]).sizes())
        if len(files) == 1:
            count = len(self.rows(self.read_labels(files)[0])[0])
        shapes = {"inputs": jax.ShapeDtypeStruct((count, len(features)), np.float32)}
        for name in (*self.labels, *self.numbers):
            dtype = np.int32 if name in self.labels else np.float32
            shapes[name] = jax.ShapeDtypeStruct((count,), dtype)
        return shapes

    def classes(self) -> dict[str, Names]:
        """The classes of each column of `labels`, in the order of their integers."""
        opened = [open_file(file) for file in self.files()]
        return {name: classes_of(opened, name) for name in self.labels}

    def load(self) -> Splits:
        """Reads the files."""
        return jax.tree.map(np.asarray, self.open_splits())

    def open_splits(self) -> Splits:
        """The same with features that are read when needed."""
        files = self.files()
        features, labels = self.features(files), self.read_labels(files)
        parts = [
            {"inputs": ArrowRows(file, features), **own}
            for file, own in zip(files, labels, strict=True)
        ]
        if len(parts) > 1:
            return Splits(*parts)
        return Splits(
            *(
                {name: select_rows(array, rows) for name, array in parts[0].items()}
                for rows in self.rows(labels[0])
            )
        )

    def files(self) -> list[pathlib.Path]:
        """The file, or those of the three parts."""
        return files_of(self, PARQUET + ARROW)

    def rows(self, labels: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        """Indices of train, validation and test in a single file of some labels."""
        first = (
            labels[self.labels[0]] if self.labels else np.zeros(len(labels[self.numbers[0]]), int)
        )
        rng = generator(self.seed, "columns")
        parts = stratified_split(first, self.validation, self.test, rng)
        for part, rows in zip(Splits._fields, parts, strict=True):
            require(len(rows) > 0, self, "path", f"must have rows for {part}", self.path)
        return parts

    def features(self, files: list[pathlib.Path]) -> tuple[str, ...]:
        """Names of the features, the same in all files."""
        named = {name for names in self.fields().values() for name in names}
        schemas = [open_file(file).schema for file in files]
        for file, schema in zip(files, schemas, strict=True):
            missing = sorted(named - set(schema.names))
            if missing:
                raise BadInput(f"{file} must have columns {missing}; it has {schema.names}")
        names = tuple(name for name in schemas[0].names if name not in named)
        rule = f"must have columns beside {sorted(named)}"
        require(len(names) > 0, self, "path", rule, schemas[0].names)
        for file, schema in zip(files, schemas, strict=True):
            others = sorted(set(schema.names) ^ {*names, *named})
            if others:
                raise BadInput(
                    f"{file} must have the columns of {files[0]}; they differ in {others}"
                )
            require_numeric(file, schema, (*names, *self.numbers))
        return names

    def read_labels(self, files: list[pathlib.Path]) -> list[dict[str, np.ndarray]]:
        """The labels of each file."""
        opened = [open_file(file) for file in files]
        classes = {name: classes_of(opened, name) for name in self.labels}
        return [
            {name: encode(read_column(file, name), classes[name]) for name in self.labels}
            | {name: numbers_of(read_column(file, name)) for name in self.numbers}
            for file in opened
        ]


def classes_of(files: list[ArrowFile], name: str) -> Names:
    """The different values of a column in all files, sorted."""
    values = {value for file in files for value in read_column(file, name).unique().to_pylist()}
    values -= {None}
    kinds = {type(value) for value in values}
    if not values or not (kinds <= {int, bool} or kinds == {str}):
        found = ", ".join(sorted(kind.__name__ for kind in kinds)) or "only nulls"
        raise BadInput(f"column {name!r} must hold classes, strings or integers, not {found}")
    return tuple(sorted(values))


def encode(column: Any, classes: Names) -> np.ndarray:
    """Indices of a column's values among the classes, int32 `[N]`, -1 where null."""
    places = {value: place for place, value in enumerate(classes)} | {None: -1}
    encoded = column.dictionary_encode().combine_chunks()
    table = np.array([places[value] for value in encoded.dictionary.to_pylist()] + [-1], np.int32)
    indices = encoded.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)
    return table[indices]


def numbers_of(column: Any) -> np.ndarray:
    """A column as float32 `[N]`, NaN where null."""
    return column.to_numpy().astype(np.float32)
