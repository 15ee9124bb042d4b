"""Columns of strings read from files, and their conversion to classes and numbers."""

import math
import pathlib
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeVar

import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.delimited import delimited_rows
from mtl_jax.data.files.json_rows import json_rows

# Missing values of pandas (pandas 3, its `na_values`), and "?" of the UCI files.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "?",
)  # fmt: skip
# 3.0 counts, since integers may be written so in a column with gaps. Leading zeros and longer
# digit strings do not: they are codes, such as postcodes or ids.
INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})(?:\.0*)?")
CODE = re.compile(r"[+-]?0[0-9]+|[+-]?[0-9]{19,}|[0-9]+[eE][0-9]+")
COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
NAN = re.compile(r"[+-]?nan", re.IGNORECASE)
MAX_FLOAT32 = float(np.finfo(np.float32).max)

Names = tuple[str, ...] | tuple[int, ...]
Class = TypeVar("Class", str, int)


class Format(NamedTuple):
    """The format of column files, and the meaning of their cells."""

    delimiter: str | None = None  # None: by the file's suffix
    comment: str | None = None
    decimal: str | None = None  # the decimal mark; None is the point
    missing: tuple[str, ...] = MISSING  # cells that count as missing


DEFAULT_FORMAT = Format()


class Columns(NamedTuple):
    """Rows of one or more files; cells are strings without surrounding spaces."""

    cells: dict[str, list[str]]  # N cells by column
    locations: list[tuple[pathlib.Path, str]]  # file of each row, and its last line there
    format: Format = DEFAULT_FORMAT


def read_columns(
    file: pathlib.Path, scalar: Collection[str] | None = None, format: Format = DEFAULT_FORMAT
) -> Columns:
    """Reads a file of columns: `.tsv`, `.jsonl`, `.json` or, with any other suffix, CSV.

    CSV and TSV begin with a header line, see `delimited_rows`. JSON is one object per line, or a
    single list or dict of objects, see `json_rows`; null or absent values are empty cells. Files
    are UTF-8, or UTF-16 with a byte order mark.

    Args:
      file: path of the file.
      scalar: JSON columns that must have scalar values; None is all. In other columns, lists and
        dicts are empty cells.
      format: format of the file.

    Raises:
      BadInput: naming the file, and the line or the row number, for a file that cannot be read or
        has no rows, a column named twice, a row with more or fewer cells than the header, or one
        that is not an object of scalar values.
    """
    if file.suffix.lower() in (".json", ".jsonl"):
        rows = list(json_rows(file, scalar, format.decimal))
    else:
        rows = list(delimited_rows(file, format.delimiter, format.comment))
    if not rows:
        raise BadInput(f"{file} must have rows")
    names = dict.fromkeys(name for _, row in rows for name in row)
    cells = {name: [row.get(name, "") for _, row in rows] for name in names}
    return Columns(cells, [(file, line) for line, _ in rows], format)


def encode_categories(columns: Columns, name: str) -> tuple[np.ndarray, Names]:
    """Encodes a column of classes: the index of each cell's class, int32 `[N]`, and all classes.

    If every class is an integer, classes are sorted as integers, with 3 and 3.0 the same class;
    otherwise as strings. Codes are strings: those with a leading 0 ("01" is not "1"), with 19
    digits or more, or like "1e3". A missing class is -1.

    Raises:
      BadInput: for a column of numbers that are not all integers, or without a value.
    """
    cells, markers = columns.cells[name], columns.format.missing
    values = set(cells) - set(markers)
    integers = {cell: value for cell in values if (value := integer(columns, cell)) is not None}
    if integers and all(NAN.fullmatch(cell) for cell in values - integers.keys()):
        values = set(integers)  # In a numeric column, NAN is missing in any spelling.
    missing = missing_numbers(columns)
    integers = {cell: value for cell, value in integers.items() if value not in missing}
    values = {cell for cell in values if cell in integers or integer(columns, cell) not in missing}
    if not values:
        raise BadInput(f"{columns.locations[0][0]}: column {name!r} must have a value")
    strings = values - integers.keys()
    invalid = {cell for cell in strings if not CODE.fullmatch(cell)}
    if invalid and all(math.isfinite(number(columns, cell)) for cell in values):
        row = next(row for row, cell in enumerate(cells) if cell in invalid)
        raise cell_error(columns, name, row, "must hold names or integers")
    if strings:
        return encode(cells, {cell: cell for cell in values})
    return encode(cells, integers)


def encode(cells: list[str], classes: Mapping[str, Class]) -> tuple[np.ndarray, tuple[Class, ...]]:
    """The index of each cell's class among the sorted classes, int32 `[N]`, and these."""
    names = tuple(sorted(set(classes.values())))
    index = {name: i for i, name in enumerate(names)}
    indices = [index[classes[cell]] if cell in classes else -1 for cell in cells]
    return np.array(indices, np.int32), names


def parse_numbers(columns: Columns, name: str) -> np.ndarray:
    """Parses a column of numbers, float64 `[N]`; NaN where missing.

    Raises:
      BadInput: naming the line, for a cell that is not a number or too large for float32.
    """
    cells, markers = columns.cells[name], {*MISSING, *columns.format.missing}
    values = np.array([math.nan if cell in markers else number(columns, cell) for cell in cells])
    values[np.isin(values, missing_numbers(columns))] = np.nan
    invalid = np.flatnonzero(np.isinf(values))
    if len(invalid) > 0:
        comma = columns.format.decimal is None and COMMA.fullmatch(cells[invalid[0]])
        hint = " (if the comma is a decimal mark, give decimal=',')" if comma else ""
        raise cell_error(columns, name, invalid[0], f"must hold finite numbers{hint}")
    return values


def missing_numbers(columns: Columns) -> list[float]:
    """Numeric missing markers, which cells may write differently: -9 and -9.0."""
    values = (number(columns, marker) for marker in columns.format.missing)
    return [value for value in values if math.isfinite(value)]


def integer(columns: Columns, cell: str) -> int | None:
    """The integer value of a cell, None if it is not an integer."""
    text = to_decimal_point(columns, cell)
    return int(text.split(".")[0]) if INTEGER.fullmatch(text) else None


def number(columns: Columns, cell: str) -> float:
    """The value of a cell, possibly NaN; infinity if it is not a number within float32's range."""
    try:
        value = float(to_decimal_point(columns, cell))
    except ValueError:
        return math.inf
    return math.inf if abs(value) > MAX_FLOAT32 or "_" in cell else value


def to_decimal_point(columns: Columns, cell: str) -> str:
    """A cell with its decimal mark as a point; a point is invalid if another mark is set."""
    mark = columns.format.decimal
    return cell if mark is None else cell.translate({ord(mark): ".", ord("."): mark})


def cell_error(columns: Columns, name: str, row: int, rule: str) -> BadInput:
    """The error for a cell."""
    file, line = columns.locations[row]
    cell = columns.cells[name][row]
    return BadInput(f"{file}, {line}: column {name!r} {rule}, not {cell!r}")
