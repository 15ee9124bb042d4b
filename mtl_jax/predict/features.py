"""Features of a table's rows, encoded as those of the training data."""

from collections.abc import Sequence

import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean
from mtl_jax.data.files.columns import Columns, cell_error, integer, parse_numbers
from mtl_jax.predict.description import Column


def encode_columns(columns: Columns, specs: Sequence[Column]) -> np.ndarray:
    """Features `[N, D]`, float32; columns that are not among those of training are ignored.

    Raises:
      BadInput: naming the line, for a cell that is not a number or a category of training, or is
        missing and has no replacement; or for a missing column.
    """
    for spec in specs:
        if spec.name not in columns.cells:
            hint = did_you_mean(spec.name, columns.cells)
            raise BadInput(f"{columns.locations[0][0]} must have the column {spec.name!r} ({hint})")
    blocks = [(numeric if s.categories is None else one_hot)(columns, s) for s in specs]
    return np.concatenate(blocks, 1).astype(np.float32)


def numeric(columns: Columns, spec: Column) -> np.ndarray:
    """A numeric column `[N, 1]`, `(x - center) / scale`."""
    values = parse_numbers(columns, spec.name)
    missing = np.flatnonzero(np.isnan(values))
    if len(missing) > 0 and spec.fill is None:
        raise cell_error(columns, spec.name, missing[0], "must have a value")
    if spec.fill is not None:
        values[missing] = spec.fill[0]
    return ((values - spec.center) / spec.scale)[:, None]


def one_hot(columns: Columns, spec: Column) -> np.ndarray:
    """A categorical column `[N, C]`."""
    categories = spec.categories or ()
    index = {category: place for place, category in enumerate(categories)}
    are_integers = all(isinstance(category, int) for category in categories)
    encoded = np.zeros((len(columns.locations), len(categories)))
    for row, cell in enumerate(columns.cells[spec.name]):
        place = index.get(integer(columns, cell) if are_integers else cell)
        if place is not None:
            encoded[row, place] = 1.0
        elif cell not in columns.format.missing:
            rule = f"must be a value of training ({did_you_mean(cell, map(str, categories))})"
            raise cell_error(columns, spec.name, row, rule)
        elif spec.fill is None:
            raise cell_error(columns, spec.name, row, "must have a value")
        else:
            encoded[row] = spec.fill
    return encoded


def read_vectors(columns: Columns, size: int) -> np.ndarray:
    """Numbers `[N, D]` of all columns in order, for data without column names.

    Raises:
      BadInput: for another number of columns, or a cell that is not a number.
    """
    names = list(columns.cells)
    if len(names) != size:
        file = columns.locations[0][0]
        raise BadInput(f"{file} must have {size} columns, the features in order, not {len(names)}")
    return encode_columns(columns, [Column(name) for name in names])
