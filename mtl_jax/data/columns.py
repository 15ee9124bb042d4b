"""Columns of texts as files have them, and the classes and numbers that they say."""

import collections
import csv
import json
import math
import pathlib
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.checks import BadInput

MISSING = {"", "?", "nan"}
WHOLE = re.compile(
    r"[+-]?[0-9]{1,18}(\.0*)?"
)  # 3.0 too: whole numbers beside a gap may be written so.
LARGEST = float(np.finfo(np.float32).max)


class Columns(NamedTuple):
    """Rows of one or more files, each cell a text without spaces around it."""

    cells: dict[str, list[str]]  # by column, N of them
    places: list[tuple[pathlib.Path, str]]  # of each row the file, and its last line there


def read_columns(file: pathlib.Path, plain: Collection[str] | None = None) -> Columns:
    """Reads a file of columns: `.tsv`, `.jsonl`, `.json` or, of any other name, CSV.

    CSV and TSV begin with a line of the columns' names; cells may stand in double quotes. JSON is
    an object in each line, or in one file a list or a dict of objects; a value that is null or not
    there is an empty cell.

    Args:
      file: the file.
      plain: the columns that must have plain values, in JSON; None is all. Of others lists and
        dicts are empty cells.

    Raises:
      BadInput: naming the file, and the line or the row by its number, for a file that cannot be
        read or has no rows, a column named twice, a row of more or fewer cells than the header, or
        one that is no object of plain values.
    """
    suffix = file.suffix.lower()
    try:
        if suffix in (".json", ".jsonl"):
            objects = (json_file if suffix == ".json" else json_lines)(file)
            rows = [(place, json_row(file, place, row, plain)) for place, row in objects]
        else:
            rows = list(table_rows(file, "\t" if suffix == ".tsv" else ","))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    if not rows:
        raise BadInput(f"{file} must have rows")
    names = dict.fromkeys(name for _, row in rows for name in row)
    cells = {name: [row.get(name, "").strip() for _, row in rows] for name in names}
    return Columns(cells, [(file, place) for place, _ in rows])


def table_rows(file: pathlib.Path, delimiter: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Lines and rows of a CSV or TSV file."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            header = checked(file, [name.strip() for name in next(reader, [])])
            for row in filter(None, reader):  # A line of nothing is no row.
                if len(row) != len(header):
                    rule = f"must have {len(header)} cells as the header has, not {len(row)}"
                    raise BadInput(f"{file}, line {reader.line_num} {rule}")
                yield f"line {reader.line_num}", dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise BadInput(f"{file}, line {reader.line_num}, cannot be read: {error}") from error


def checked(file: pathlib.Path, header: list[str]) -> list[str]:
    """The names of a header, which must be different."""
    if not header:
        raise BadInput(f"{file} must have a header")
    twice = [name for name, times in collections.Counter(header).items() if times > 1]
    if twice:
        raise BadInput(f"{file} must name each column once, not {twice[0]!r} twice")
    return header


def json_lines(file: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Lines of a file of JSON lines, and what each holds."""
    with file.open(encoding="utf-8-sig") as lines:
        for at, line in enumerate(lines, 1):
            if line.strip():
                yield f"line {at}", parsed(f"{file}, line {at}", line)


def json_file(file: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Numbers, from 1, and rows of a JSON file that holds a list or a dict of them."""
    content = parsed(str(file), file.read_text(encoding="utf-8-sig"))
    if not isinstance(content, list | dict):
        raise BadInput(f"{file} must be a list or a dict of rows, not {content!r}")
    rows = content.values() if isinstance(content, dict) else content
    yield from ((f"row {at}", row) for at, row in enumerate(rows, 1))


def parsed(where: str, text: str) -> Any:
    """What a JSON text holds."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} must be JSON: {error}") from error


def json_row(
    file: pathlib.Path, place: str, row: Any, plain: Collection[str] | None
) -> dict[str, str]:
    """Cells of a JSON object."""
    if not isinstance(row, dict):
        raise BadInput(f"{file}, {place} must be a JSON object, not {row!r}")
    nested = {name for name, value in row.items() if isinstance(value, dict | list)}
    for name in row:
        if name in nested and (plain is None or name in plain):
            rule = f"column {name!r} must hold a plain value, not {row[name]!r}"
            raise BadInput(f"{file}, {place}: {rule}")
    gaps = {name for name, value in row.items() if value is None} | nested
    return {name: "" if name in gaps else str(value) for name, value in row.items()}


def coded(columns: Columns, name: str) -> tuple[np.ndarray, tuple[str, ...] | tuple[int, ...]]:
    """A column of classes: the place of each cell's among all, int32 `[N]`, and all in order.

    If every class is a whole number they are in the order of numbers, 3 and 3.0 being one class;
    else in that of texts. A missing one is -1.

    Raises:
      BadInput: for a column of numbers that are not all whole, or without a value.
    """
    cells = columns.cells[name]
    known = {cell for cell in cells if not missing(cell)}
    if not known:
        raise BadInput(f"{columns.places[0][0]}: column {name!r} must have a value")
    classes = {cell: int(cell.split(".")[0]) for cell in known if WHOLE.fullmatch(cell)}
    if len(classes) < len(known):
        if all(math.isfinite(number(cell)) for cell in known):
            broken = next(row for row, cell in enumerate(cells) if cell in known - classes.keys())
            raise fault(columns, name, broken, "must hold names or whole numbers")
        classes = {cell: cell for cell in known}
    order = tuple(sorted(set(classes.values())))
    place = {one: at for at, one in enumerate(order)}
    places = [-1 if missing(cell) else place[classes[cell]] for cell in cells]
    return np.array(places, np.int32), order


def valued(columns: Columns, name: str) -> np.ndarray:
    """A column of numbers, float64 `[N]`; a missing one is NaN.

    Raises:
      BadInput: naming the line, for what is no number or too large for float32.
    """
    cells = columns.cells[name]
    values = np.array([math.nan if missing(cell) else number(cell) for cell in cells])
    wrong = np.flatnonzero(np.isinf(values))
    if len(wrong) > 0:
        raise fault(columns, name, wrong[0], "must hold finite numbers")
    return values


def missing(cell: str) -> bool:
    """Whether a cell holds nothing."""
    return cell.lower() in MISSING


def number(cell: str) -> float:
    """What a cell says; infinite for what is no number that float32 can hold."""
    try:
        value = float(cell)
    except ValueError:
        return math.inf
    return value if abs(value) <= LARGEST and "_" not in cell else math.inf


def fault(columns: Columns, name: str, row: int, rule: str) -> BadInput:
    """What is raised for a cell."""
    file, place = columns.places[row]
    cell = columns.cells[name][row]
    return BadInput(f"{file}, {place}: column {name!r} {rule}, not {cell!r}")
