"""Columns of texts as files have them, and the classes and numbers that they say."""

import math
import pathlib
import re
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.delimited import delimited_rows
from mtl_jax.data.files.json_rows import json_rows

# What pandas takes for a missing value (pandas 3, its `na_values`), and "?" of the UCI files.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "?",
)  # fmt: skip
# 3.0 too: integers beside a gap may be written so. Neither what begins with 0 nor what is longer
# is a number: it is a code, such as a postcode or an id.
INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})(?:\.0*)?")
CODE = re.compile(r"[+-]?0[0-9]+|[+-]?[0-9]{19,}|[0-9]+[eE][0-9]+")
COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
NAN = re.compile(r"[+-]?nan", re.IGNORECASE)
LARGEST = float(np.finfo(np.float32).max)


class Format(NamedTuple):
    """How files of columns are written, and what their cells mean."""

    delimiter: str | None = None  # None: by the file's name
    comment: str | None = None
    decimal: str | None = None  # the decimal mark; None is the point
    missing: tuple[str, ...] = MISSING  # cells that hold nothing


USUAL = Format()


class Columns(NamedTuple):
    """Rows of one or more files, each cell a text without spaces around it."""

    cells: dict[str, list[str]]  # by column, N of them
    places: list[tuple[pathlib.Path, str]]  # of each row the file, and its last line there
    format: Format = USUAL


def read_columns(
    file: pathlib.Path, plain: Collection[str] | None = None, format: Format = USUAL
) -> Columns:
    """Reads a file of columns: `.tsv`, `.jsonl`, `.json` or, of any other name, CSV.

    CSV and TSV begin with a line of the columns' names, see `delimited_rows`. JSON is an object in
    each line, or in one file a list or a dict of objects, see `json_rows`; a value that is null or
    not there is an empty cell. Files are UTF-8, or UTF-16 with its mark.

    Args:
      file: the file.
      plain: the columns that must have plain values, in JSON; None is all. Of others lists and
        dicts are empty cells.
      format: how it is written.

    Raises:
      BadInput: naming the file, and the line or the row by its number, for a file that cannot be
        read or has no rows, a column named twice, a row of more or fewer cells than the header, or
        one that is no object of plain values.
    """
    if file.suffix.lower() in (".json", ".jsonl"):
        rows = list(json_rows(file, plain, format.decimal))
    else:
        rows = list(delimited_rows(file, format.delimiter, format.comment))
    if not rows:
        raise BadInput(f"{file} must have rows")
    names = dict.fromkeys(name for _, row in rows for name in row)
    cells = {name: [row.get(name, "") for _, row in rows] for name in names}
    return Columns(cells, [(file, place) for place, _ in rows], format)


def coded(columns: Columns, name: str) -> tuple[np.ndarray, tuple[str, ...] | tuple[int, ...]]:
    """A column of classes: the place of each cell's among all, int32 `[N]`, and all in order.

    If every class is an integer they are in the order of numbers, 3 and 3.0 being one class;
    else in that of texts. Codes are texts: what begins with a 0 ("01" is not "1"), has 19 digits
    or more, or is like "1e3". A missing one is -1.

    Raises:
      BadInput: for a column of numbers that are not all integers, or without a value.
    """
    cells, marks = columns.cells[name], columns.format.missing
    known = set(cells) - set(marks)
    integers = {cell: value for cell in known if (value := integer(columns, cell)) is not None}
    if integers and all(NAN.fullmatch(cell) for cell in known - integers.keys()):
        known = set(integers)  # Beside numbers NAN is one of them, however it is written.
    gone = own_numbers(columns)
    integers = {cell: value for cell, value in integers.items() if value not in gone}
    known = {cell for cell in known if cell in integers or integer(columns, cell) not in gone}
    if not known:
        raise BadInput(f"{columns.places[0][0]}: column {name!r} must have a value")
    names = known - integers.keys()
    broken = {cell for cell in names if not CODE.fullmatch(cell)}
    if broken and all(math.isfinite(number(columns, cell)) for cell in known):
        row = next(row for row, cell in enumerate(cells) if cell in broken)
        raise fault(columns, name, row, "must hold names or whole numbers")
    classes = {cell: cell for cell in known} if names else integers
    order = tuple(sorted(set(classes.values())))
    place = {one: at for at, one in enumerate(order)}
    places = [place[classes[cell]] if cell in classes else -1 for cell in cells]
    return np.array(places, np.int32), order


def valued(columns: Columns, name: str) -> np.ndarray:
    """A column of numbers, float64 `[N]`; a missing one is NaN.

    Raises:
      BadInput: naming the line, for what is no number or too large for float32.
    """
    cells, marks = columns.cells[name], {*MISSING, *columns.format.missing}
    values = np.array([math.nan if cell in marks else number(columns, cell) for cell in cells])
    values[np.isin(values, own_numbers(columns))] = np.nan
    wrong = np.flatnonzero(np.isinf(values))
    if len(wrong) > 0:
        comma = columns.format.decimal is None and COMMA.fullmatch(cells[wrong[0]])
        hint = " (if the comma is a decimal mark, give decimal=',')" if comma else ""
        raise fault(columns, name, wrong[0], f"must hold finite numbers{hint}")
    return values


def own_numbers(columns: Columns) -> list[float]:
    """Marks of what is missing that are numbers, which cells may write otherwise: -9 and -9.0."""
    values = (number(columns, mark) for mark in columns.format.missing)
    return [value for value in values if math.isfinite(value)]


def integer(columns: Columns, cell: str) -> int | None:
    """The integer that a cell says, None if it says none."""
    text = pointed(columns, cell)
    return int(text.split(".")[0]) if INTEGER.fullmatch(text) else None


def number(columns: Columns, cell: str) -> float:
    """What a cell says, NaN too; infinite for what is no number that float32 can hold."""
    try:
        value = float(pointed(columns, cell))
    except ValueError:
        return math.inf
    return math.inf if abs(value) > LARGEST or "_" in cell else value


def pointed(columns: Columns, cell: str) -> str:
    """A cell with a point as its decimal mark; no number, if a point stood where that is another."""
    mark = columns.format.decimal
    return cell if mark is None else cell.translate({ord(mark): ".", ord("."): mark})


def fault(columns: Columns, name: str, row: int, rule: str) -> BadInput:
    """What is raised for a cell."""
    file, place = columns.places[row]
    cell = columns.cells[name][row]
    return BadInput(f"{file}, {place}: column {name!r} {rule}, not {cell!r}")
