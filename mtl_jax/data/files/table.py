"""A data source for tables in users' files: numeric and categorical features, and labels."""

import dataclasses
import functools
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, did_you_mean, require, require_choice
from mtl_jax.data.files.class_names import warn_of_classes, warn_of_codes
from mtl_jax.data.files.column_splits import (
    concatenate_columns,
    files_of,
    format_of,
    labels_of,
    part_rows,
    require_columns,
    require_format,
    rows_by_part,
    stamps,
)
from mtl_jax.data.files.columns import (
    MAX_FLOAT32,
    Columns,
    Names,
    cell_error,
    encode_categories,
    parse_numbers,
    read_columns,
)
from mtl_jax.data.files.duplicates import warn_of_repeats
from mtl_jax.data.files.float_precision import require_precision

SUFFIXES = (".csv", ".tsv")


@dataclasses.dataclass(frozen=True)
class Table(DataSource):
    """Rows of a CSV or TSV file with a header: "inputs" `[N, D]` float32, and labels `[N]`.

    `path` is either a file, which is split at random, stratified by the first of `labels`; or a
    folder with one file per part, called train, validation (or val, dev, valid) and test, with the
    same columns in any order. Cells are separated by commas (`.csv`) or tabs (`.tsv`) and may be
    enclosed in double quotes (see `delimited_rows`); surrounding spaces are ignored. Missing values
    are those of pandas (an empty cell, "NA", "N/A", "NaN", "None", "null" or the like) and "?".

    Every column that is not named by a field is a numeric feature. Features are in the order of the
    file's columns; a column of `categories` is one-hot encoded over the values that occur in any
    part, in sorted order. With `standardize`, each numeric column has mean 0 and variance 1 over
    the training part, after missing values are filled; a column that is constant there is 0 there.

    A label is a class, as its index among the sorted classes of all parts, int32 and -1 where
    missing (see `classes`); or a continuous target, float32 and NaN where missing. Codes are
    strings: "01" and "1" are two classes, and so are ids of 19 digits or more. The fingerprint of a
    run contains only the path; the contents of the files are recorded in its `run.json`.

    Warns (`DataWarning`) of ambiguous class names, such as "None" or "Yes" next to "yes", and of
    rows whose features occur in two parts.

    Attributes:
      path: path of the file or the folder.
      labels: columns of classes, strings or integers; () if all labels are continuous.
      numbers: columns of continuous targets.
      categories: columns of categorical features, strings or integers, to be one-hot encoded.
      skip: columns to omit; "" is the column without a name.
      fill: replacement of missing features: "mean" of the training part, which for a category is
        the frequency of each value; None raises an error for them.
      standardize: whether numeric features are standardised.
      validation: fraction of the validation part of a random split.
      test: fraction of the test part of a random split.
      seed: seed of the random split.
      delimiter: cell separator, such as ";"; None is a comma or, in `.tsv`, a tab.
      decimal: "," if it is the decimal mark; None is a point.
      comment: prefix of lines to omit, such as "#"; None if there are none.
      missing: additional markers of missing cells, such as ("-", "-999").
      not_missing: markers that are names here, such as ("NA",) for Namibia; in numeric columns they
        are still missing.

    Raises:
      BadInput: for a setting of the wrong type, no label, a column named twice, fractions outside
        (0, 1) or that leave no training part, or a negative seed; and from `load`, `shapes` and
        `classes` for a file that does not exist or cannot be read, columns that are missing or
        differ between parts, parts that are the same file or contained in another one, and, naming
        line and column, for a row of another length, a feature or a target that is not a number,
        classes that are not integers, a missing feature, or numbers that are equal in float32.

    Example:
      >>> from mtl_jax import data
      >>> source = data.Table("penguins.csv", labels=("species",), categories=("island",))
      >>> source.fields()
      {'labels': ('species',), 'numbers': (), 'categories': ('island',), 'skip': ()}
    """

    path: str
    labels: tuple[str, ...] = ("y",)
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    fill: Literal["mean"] | None = None
    standardize: bool = True
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0
    delimiter: str | None = None
    decimal: Literal[","] | None = None
    comment: str | None = None
    missing: tuple[str, ...] = ()
    not_missing: tuple[str, ...] = ()

    def __post_init__(self):
        require_columns(self, **self.fields())
        require_format(self)
        require_choice(self, fill=("mean", None))
        valid = isinstance(self.standardize, bool)
        require(valid, self, "standardize", "must be True or False", self.standardize)

    def fields(self) -> dict[str, tuple[str, ...]]:
        """Column names by field."""
        fields = ("labels", "numbers", "categories", "skip")
        return {field: getattr(self, field) for field in fields}

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; reads the files if they have changed."""
        return dict(cached_shapes(self, stamps(files_of(self, SUFFIXES))))

    def load(self) -> Splits:
        """Reads the table."""
        parts = self.read()
        names = self.features(parts)
        columns = concatenate_columns(self, parts, **self.fields(), features=names)
        labels = labels_of(self, columns)
        rows = part_rows(self, parts, labels)
        blocks = [encode_features(self, columns, name, rows[0]) for name in names]
        image = np.concatenate(blocks, 1).astype(np.float32)
        warn_of_classes(self, columns, (*self.labels, *self.categories))
        warn_of_codes(self, columns, [name for name in names if name not in self.categories])
        cells = [row.tobytes() for row in image + np.float32(0)]  # Adding 0 turns -0 into 0.
        warn_of_repeats(self, "features", rows_by_part(cells, rows), user_split=len(parts) > 1)
        arrays = {"inputs": image, **labels}
        return Splits(*({name: array[i] for name, array in arrays.items()} for i in rows))

    def classes(self) -> dict[str, Names]:
        """The classes of each column of `labels`, in the order of their integers."""
        columns = concatenate_columns(self, self.read(), labels=self.labels)
        return {name: encode_categories(columns, name)[1] for name in self.labels}

    def columns(self) -> dict[str, Names | None]:
        """Feature columns in order, each with its sorted values if it is a category, else None."""
        return dict(column_names(self, stamps(files_of(self, SUFFIXES))))

    def read(self) -> list[Columns]:
        """The columns of each file."""
        return [read_columns(file, None, format_of(self)) for file in files_of(self, SUFFIXES)]

    def features(self, parts: list[Columns]) -> tuple[str, ...]:
        """Names of the feature columns, including those of categories."""
        others = {*self.labels, *self.numbers, *self.skip}
        names = tuple(name for name in parts[0].cells if name not in others)
        rule = f"must have columns beside {sorted(others)}"
        require(len(names) > 0, self, "path", rule, sorted(parts[0].cells))
        rule = 'must name every column; leave this one out by skip=("",)'
        require("" not in names, self, "path", rule, "")
        for part in parts[1:]:
            for name in sorted((part.cells.keys() - others) ^ set(names)):
                hint = f"which train has not ({did_you_mean(name, names)}), or skip it"
                missing = f"have column {name!r}, as train has"
                rule = missing if name in names else f"not have column {name!r}, {hint}"
                raise BadInput(f"{part.locations[0][0]} must {rule}")
        return names


@functools.lru_cache(maxsize=64)
def cached_shapes(source: Table, stamps: tuple) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of a table's training part, cached by the stamps of its files."""
    train = source.load().train
    return {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in train.items()}


@functools.lru_cache(maxsize=64)
def column_names(source: Table, stamps: tuple) -> dict[str, Names | None]:
    """A table's feature columns and category values, cached by the stamps of its files."""
    parts = source.read()
    names = source.features(parts)
    columns = concatenate_columns(source, parts, features=names)
    return {n: encode_categories(columns, n)[1] if n in source.categories else None for n in names}


def encode_features(source: Table, columns: Columns, name: str, train: np.ndarray) -> np.ndarray:
    """Features of one column, `[N, 1]`, or `[N, C]` for a category."""
    category = name in source.categories
    values = one_hot(columns, name) if category else numeric(columns, name)
    original = values[:, 0].copy()
    missing = np.flatnonzero(np.isnan(original))
    if len(missing) > 0 and source.fill is None:
        raise cell_error(columns, name, missing[0], 'must have a value, or the table fill="mean"')
    if len(missing) > 0:
        known = np.setdiff1d(train, missing)
        if len(known) == 0:
            rule = f"column {name!r} must have a value in train"
            raise BadInput(f"{columns.locations[train[0]][0]}: {rule}")
        # Rounding must not change the mean of equal numbers, see `standardize`.
        values[missing] = values[known].mean(0).clip(values[known].min(0), values[known].max(0))
    values = values if category or not source.standardize else standardize(values, train)
    too_large = np.flatnonzero(~(np.abs(values).max(1) <= MAX_FLOAT32))
    if len(too_large) > 0:
        rule = "must lie nearer to the training part, in its standard deviations"
        raise cell_error(columns, name, too_large[0], rule)
    if not category:
        require_precision(columns, name, original, values[:, 0])
    return values


def numeric(columns: Columns, name: str) -> np.ndarray:
    """Numbers of a column `[N, 1]`."""
    try:
        return parse_numbers(columns, name)[:, None]
    except BadInput as error:
        raise BadInput(f"{error}; name it in labels, categories or skip if it is none") from None


def one_hot(columns: Columns, name: str) -> np.ndarray:
    """One-hot encoding of a column `[N, C]`; NaN where missing."""
    indices, values = encode_categories(columns, name)
    encoded = np.eye(len(values))[indices]
    encoded[indices < 0] = np.nan
    return encoded


def standardize(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Numbers `[N, 1]`, scaled to mean 0 and variance 1 over the training part."""
    center, largest, std = moments(values[train])
    return (values - center) / largest / std


def moments(train: np.ndarray) -> tuple[float, float, float]:
    """Center, largest distance from it, and standard deviation of the distances over that."""
    # The mean of equal numbers may differ from them by rounding; dividing by a standard deviation
    # of the same size would turn that into an ordinary feature.
    if train.min() == train.max():
        return train.min(), 1.0, 1.0
    # Scale by the largest: squares of very small numbers would underflow to 0.
    centered = train - train.mean()
    largest = np.abs(centered).max()
    return train.mean(), largest, (centered / largest).std()
