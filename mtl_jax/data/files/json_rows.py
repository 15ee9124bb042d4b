"""Parsing of JSON rows: JSON lines, or one JSON file in common layouts."""

import pathlib
from collections.abc import Collection, Iterator
from typing import Any

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.text_files import lines_of, parse_json, read_text, require_characters


def json_rows(
    file: pathlib.Path, scalar: Collection[str] | None, decimal: str | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Line or row numbers of a `.jsonl` or `.json` file, and the cells of each row.

    Args:
      file: path of the file.
      scalar: columns that must have scalar values; None is all. In other columns, lists and dicts
        are empty cells.
      decimal: decimal mark that numbers are written with in cells; None is the point.

    Raises:
      BadInput: naming file and row, for invalid JSON, a non-object, or a non-scalar value.
    """
    text = read_text(file)
    if file.suffix.lower() == ".jsonl":
        lines = ((f"line {i}", line) for i, line in enumerate(lines_of(text), 1) if line.strip())
        objects = ((location, parse_json(f"{file}, {location}", line)) for location, line in lines)
    else:
        rows = rows_of(file, parse_json(str(file), text), scalar)
        objects = ((f"row {i}", row) for i, row in enumerate(rows, 1))
    for location, row in objects:
        yield location, cells_of(file, location, row, scalar, decimal)


def rows_of(file: pathlib.Path, content: Any, scalar: Collection[str] | None) -> list[Any]:
    """Rows of a JSON file: a list, a dict of rows, or one of the layouts below.

    They are a dict with one value that is a list of objects, as Hugging Face data sets have under
    "data"; and pandas' `to_json` by columns, `{column: {index: value}}`, or with `orient="split"`,
    as well as columns as lists.
    """
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        raise BadInput(f"{file} must be a list or a dict of rows, not {content!r:.60}")
    if content.keys() >= {"columns", "data"} and are_all(list, content["data"]):
        names = content["columns"]
        invalid = [i for i, row in enumerate(content["data"], 1) if len(row) != len(names)]
        if invalid:
            raise BadInput(f"{file}, row {invalid[0]} must have a value for each of {names}")
        return [dict(zip(names, row, strict=True)) for row in content["data"]]
    lists = [name for name, value in content.items() if value and are_all(dict, value)]
    if len(lists) > 1:
        raise BadInput(f"{file} must hold one list of rows, not {lists}: give each its own file")
    if lists:
        return content[lists[0]]
    if content and all(isinstance(value, list) for value in content.values()):
        return rows_from_columns(file, {k: dict(enumerate(v)) for k, v in content.items()})
    has_columns = scalar is not None and set(scalar) <= content.keys()
    if has_columns and all(isinstance(value, dict) for value in content.values()):
        return rows_from_columns(file, content)
    return list(content.values())


def are_all(kind: type, values: Any) -> bool:
    """Whether a value is a list of values of one type."""
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def rows_from_columns(
    file: pathlib.Path, columns: dict[str, dict[Any, Any]]
) -> list[dict[str, Any]]:
    """Rows of columns that map a row's index to its value."""
    first = next(iter(columns.values()))
    for name, column in columns.items():
        if column.keys() != first.keys():
            raise BadInput(f"{file}: column {name!r} must have a value for each of the same rows")
    return [{name: column[row] for name, column in columns.items()} for row in first]


def cells_of(
    file: pathlib.Path, location: str, row: Any, scalar: Collection[str] | None, decimal: str | None
) -> dict[str, str]:
    """Cells of a JSON object; null is an empty cell."""
    if not isinstance(row, dict):
        raise BadInput(f"{file}, {location} must be a JSON object, not {row!r:.60}")
    cells = {}
    for name, value in row.items():
        nested, must_be_scalar = isinstance(value, dict | list), scalar is None or name in scalar
        if nested and must_be_scalar:
            rule = f"column {name!r} must hold a scalar value, not {value!r:.60}"
            raise BadInput(f"{file}, {location}: {rule}")
        if must_be_scalar and isinstance(value, str):
            require_characters(f"{file}, {location}: column {name!r}", value)
        text = "" if value is None or nested else str(value).strip()
        cells[name] = text.replace(".", decimal or ".") if isinstance(value, float) else text
    return cells
