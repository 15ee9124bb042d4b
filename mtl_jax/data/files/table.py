"""A source of a table in a user's own files: numbers as features, other columns as labels."""

import dataclasses
import functools
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.protocols import Splits
from mtl_jax.core.validation import BadInput, near, require, require_choice
from mtl_jax.data.files.class_names import warn_of_classes, warn_of_codes
from mtl_jax.data.files.column_splits import (
    files_of,
    format_of,
    labels_of,
    laid_together,
    part_rows,
    require_columns,
    require_format,
    rows_by_part,
    stamps,
)
from mtl_jax.data.files.columns import LARGEST, Columns, coded, fault, read_columns, valued
from mtl_jax.data.files.duplicates import warn_of_repeats
from mtl_jax.data.files.float_precision import require_precision

SUFFIXES = (".csv", ".tsv")


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of a CSV or TSV file with a header: "image" `[N, D]` float32, and labels `[N]`.

    `path` is a file, of which the parts are drawn at random, in every class of the first of
    `labels` alike; or a folder with a file for each part, called train, validation (or val, dev,
    valid) and test, whose columns are the same in any order. Cells are separated by commas (`.csv`) or
    tabs (`.tsv`) and may stand in double quotes (see `delimited_rows`); spaces around them do not
    count. What pandas takes for missing is missing: a cell that is empty, "NA", "N/A", "NaN",
    "None", "null" or the like; and "?".

    Every column that no field names is a feature and must hold numbers. Features are in the order
    of the file's columns; one of `categories` makes a feature of 0 and 1 for each value that it has
    in any part, in sorted order. With `standardise` each numeric column has mean 0 and variance 1
    over the training part, after gaps are filled; one that is constant there is 0 there.

    A label is the place of its class among those of all parts in sorted order, int32 and -1 where
    missing (`classes` tells them); or a number, float32 and NaN where missing. Codes are names:
    "01" and "1" are two classes, so are ids of 19 digits or more. The fingerprint of a run has the
    path alone; what the files held stands in its `run.json`.

    Warns (`DataWarning`) of names that may mean something else, such as "None" or "Yes" beside
    "yes", and of rows whose features stand in two parts.

    Attributes:
      path: of the file or the folder.
      labels: columns of classes, names or whole numbers; () if all labels are numbers.
      numbers: columns of labels that are numbers.
      categories: columns of features that are names or whole numbers, to be one-hot.
      skip: columns to leave out, "" the one without a name.
      fill: what stands for a missing feature: "mean" of the training part, which for a category is
        how frequent each value is; None refuses it.
      standardise: whether numeric features are standardised.
      validation: share of the validation part, if parts are drawn.
      test: share of the test part, if parts are drawn.
      seed: of the drawing.
      delimiter: what separates cells, such as ";"; None is a comma or, in `.tsv`, a tab.
      decimal: "," if numbers are written so; None is a point.
      comment: what begins lines that are left out, such as "#"; None if nothing does.
      missing: further marks of a missing cell, such as ("-", "-999").
      not_missing: marks that are names here, such as ("NA",) for Namibia; in numbers they are none.

    Raises:
      BadInput: for a setting of the wrong kind, no label, a column named twice, shares outside
        (0, 1) or that leave nothing to train on, or a negative seed; and from `load`, `shapes` and
        `classes` for a file that is not there or cannot be read, columns that are not there or are
        not the same in all parts, parts that are one file or stand in another one, and, naming
        line and column, for a row of another length, a feature or a number that is none, classes
        with fractions, a missing feature, or numbers that float32 makes equal.
    """

    path: str
    labels: tuple[str, ...] = ("y",)
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    fill: Literal["mean"] | None = None
    standardise: bool = True
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
        fine = isinstance(self.standardise, bool)
        require(fine, self, "standardise", "must be True or False", self.standardise)

    def fields(self) -> dict[str, tuple[str, ...]]:
        """The fields that name columns."""
        fields = ("labels", "numbers", "categories", "skip")
        return {field: getattr(self, field) for field in fields}

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; reads the files, if they are not as before."""
        return dict(told(self, stamps(files_of(self, SUFFIXES))))

    def load(self) -> Splits:
        """Reads the table."""
        parts = self.read()
        names = self.features(parts)
        columns = laid_together(self, parts, **self.fields(), features=names)
        labels = labels_of(self, columns)
        rows = part_rows(self, parts, labels)
        blocks = [block(self, columns, name, rows[0]) for name in names]
        image = np.concatenate(blocks, 1).astype(np.float32)
        warn_of_classes(self, columns, (*self.labels, *self.categories))
        warn_of_codes(self, columns, [name for name in names if name not in self.categories])
        cells = [row.tobytes() for row in image + np.float32(0)]  # 0 has two signs.
        warn_of_repeats(self, "features", rows_by_part(cells, rows), given=len(parts) > 1)
        arrays = {"image": image, **labels}
        return Splits(*({name: array[each] for name, array in arrays.items()} for each in rows))

    def classes(self) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
        """The classes of each column of `labels`, in the order of their places."""
        columns = laid_together(self, self.read(), labels=self.labels)
        return {name: coded(columns, name)[1] for name in self.labels}

    def columns(self) -> dict[str, tuple[str, ...] | tuple[int, ...] | None]:
        """The columns of features in their order; of a category its values in theirs, else None."""
        return dict(named(self, stamps(files_of(self, SUFFIXES))))

    def read(self) -> list[Columns]:
        """The columns of each file."""
        return [read_columns(file, None, format_of(self)) for file in files_of(self, SUFFIXES)]

    def features(self, parts: list[Columns]) -> tuple[str, ...]:
        """Names of the columns that are features, those of categories among them."""
        others = {*self.labels, *self.numbers, *self.skip}
        names = tuple(name for name in parts[0].cells if name not in others)
        rule = f"must have columns beside {sorted(others)}"
        require(len(names) > 0, self, "path", rule, sorted(parts[0].cells))
        rule = 'must name every column; leave this one out by skip=("",)'
        require("" not in names, self, "path", rule, "")
        for part in parts[1:]:
            for name in sorted((part.cells.keys() - others) ^ set(names)):
                hint = f"which train has not ({near(name, names)}), or skip it"
                lacks = f"have column {name!r}, as train has"
                rule = lacks if name in names else f"not have column {name!r}, {hint}"
                raise BadInput(f"{part.places[0][0]} must {rule}")
        return names


@functools.lru_cache(maxsize=64)
def told(source: Table, stamps: tuple) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of a table's training part, as its files are by their stamps."""
    train = source.load().train
    return {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in train.items()}


@functools.lru_cache(maxsize=64)
def named(source: Table, stamps: tuple) -> dict[str, tuple[str, ...] | tuple[int, ...] | None]:
    """Columns of a table's features and values of its categories, as its files are by their stamps."""
    parts = source.read()
    names = source.features(parts)
    columns = laid_together(source, parts, features=names)
    return {n: coded(columns, n)[1] if n in source.categories else None for n in names}


def block(source: Table, columns: Columns, name: str, train: np.ndarray) -> np.ndarray:
    """Features of one column, `[N, 1]`, or of one of categories, `[N, C]`."""
    category = name in source.categories
    values = one_hot(columns, name) if category else numeric(columns, name)
    said = values[:, 0].copy()
    gaps = np.flatnonzero(np.isnan(said))
    if len(gaps) > 0 and source.fill is None:
        raise fault(columns, name, gaps[0], 'must have a value, or the table fill="mean"')
    if len(gaps) > 0:
        known = np.setdiff1d(train, gaps)
        if len(known) == 0:
            rule = f"column {name!r} must have a value in train"
            raise BadInput(f"{columns.places[train[0]][0]}: {rule}")
        # Rounding must not make the mean of equal numbers another one, see `standardised`.
        values[gaps] = values[known].mean(0).clip(values[known].min(0), values[known].max(0))
    values = values if category or not source.standardise else standardised(values, train)
    far = np.flatnonzero(~(np.abs(values).max(1) <= LARGEST))
    if len(far) > 0:
        raise fault(columns, name, far[0], "must lie nearer to what trains, in its deviations")
    if not category:
        require_precision(columns, name, said, values[:, 0])
    return values


def numeric(columns: Columns, name: str) -> np.ndarray:
    """Numbers of a column `[N, 1]`."""
    try:
        return valued(columns, name)[:, None]
    except BadInput as wrong:
        raise BadInput(f"{wrong}; name it in labels, categories or skip if it is none") from None


def one_hot(columns: Columns, name: str) -> np.ndarray:
    """0 and 1 of the values of a column `[N, C]`; of a missing one NaN."""
    places, values = coded(columns, name)
    spread = np.eye(len(values))[places]
    spread[places < 0] = np.nan
    return spread


def standardised(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Numbers `[N, 1]` with mean 0 and variance 1 over the training part."""
    own = values[train]
    # The mean of equal numbers may differ from them by rounding, which a deviation of the same
    # size would make as large as any other.
    if own.min() == own.max():
        return values - own[0]
    # In parts of the largest: squares of very small numbers would be 0.
    centred = values - own.mean()
    largest = np.abs(centred[train]).max()
    return centred / largest / (centred[train] / largest).std()
