"""Parts and labels of tables in users' files: from three files, or sampled from one."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mtl_jax.core.validation import did_you_mean, require, require_choice
from mtl_jax.data.files.columns import MISSING, Columns, Format, encode_categories, parse_numbers
from mtl_jax.data.files.duplicates import require_own_files
from mtl_jax.data.files.float_precision import require_precision
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.random_split import generator, require_dealt, stratified_split

PARTS = {
    "train": ("train",),
    "validation": ("validation", "val", "dev", "valid"),
    "test": ("test",),
}


def require_columns(source: Any, **fields: tuple[str, ...]) -> None:
    """Checks the settings that column-based sources share, and `fields` that name columns.

    Raises:
      BadInput: for a path that is not a string, columns that are not a tuple of names, a column
        named twice, no label, labels called "image", fractions outside (0, 1) or that leave no
        training part, or a negative seed.
    """
    require(isinstance(source.path, str), source, "path", "must be a string", source.path)
    seen = []
    for field, names in fields.items():
        fine = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
        require(fine, source, field, "must be a tuple of names of columns", names)
        for name in names:
            require(name not in seen, source, field, "must not name a column again", name)
            seen.append(name)
    labels = (*source.labels, *source.numbers)
    require(len(labels) > 0, source, "labels", "and numbers must name a label", source.labels)
    for name in labels:
        fine = name not in ("", "image")
        require(fine, source, "labels", "must not have such a name", name)
    require_dealt(source)


def require_format(source: Any) -> None:
    """Checks the settings of the file format.

    Raises:
      BadInput: for a delimiter that is not a single character, a comment that is not a string, a
        decimal mark that is not a comma, markers that are not a tuple of strings, or a
        `not_missing` marker that is not one of the defaults.
    """
    mark, comment = source.delimiter, source.comment
    fine = mark is None or (isinstance(mark, str) and len(mark) == 1 and mark not in '"\r\n ')
    require(fine, source, "delimiter", "must be a character or None", mark)
    fine = comment is None or (isinstance(comment, str) and comment.strip() not in ("", '"'))
    require(fine, source, "comment", 'must be a string such as "#", or None', comment)
    require_choice(source, decimal=(None, ","))
    for field in ("missing", "not_missing"):
        marks = getattr(source, field)
        fine = isinstance(marks, tuple) and all(isinstance(one, str) for one in marks)
        require(fine, source, field, "must be a tuple of strings", marks)
    for one in source.not_missing:
        fine = one != "" and one in MISSING and one not in source.missing
        rule = f"must be some of {MISSING[1:]} that are not in missing"
        require(fine, source, "not_missing", rule, one)


def format_of(source: Any) -> Format:
    """The file format of a source."""
    usual = tuple(mark for mark in MISSING if mark not in source.not_missing)
    own = tuple(mark.strip() for mark in source.missing)
    return Format(source.delimiter, source.comment, source.decimal, (*usual, *own))


def files_of(source: Any, suffixes: tuple[str, ...]) -> list[pathlib.Path]:
    """The file at a source's path, or the files of the three parts if it is a folder.

    Raises:
      BadInput: if there is neither, a file has another suffix, a part has no file or several, or
        two parts are the same file.
    """
    root = expand_path(source.path)
    if root.is_file():
        fine = root.suffix.lower() in suffixes
        require(fine, source, "path", f"must end in {' or '.join(suffixes)}", source.path)
        return [root]
    require(root.is_dir(), source, "path", "must be a file or a folder", source.path)
    files = [file for file in sorted(root.iterdir()) if file.suffix.lower() in suffixes]
    parts = [[file for file in files if file.stem.lower() in s] for s in PARTS.values()]
    for (name, stems), found in zip(PARTS.items(), parts, strict=True):
        wanted = f"{' or '.join(stems)} with {' or '.join(suffixes)}"
        rule = f"must have one file for {name}, named {wanted}"
        require(len(found) == 1, source, "path", rule, [file.name for file in found])
    require_own_files([file for (file,) in parts])
    return [file for (file,) in parts]


def stamps(files: Iterable[pathlib.Path]) -> tuple[tuple[str, int, int], ...]:
    """Stamps that identify files and their modifications, as keys of a cache."""
    return tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files)


def laid_together(source: Any, parts: list[Columns], **fields: tuple[str, ...]) -> Columns:
    """Concatenates the rows of all files, for the columns that a source's `fields` name.

    Raises:
      BadInput: naming the field and the file, if that lacks a column.
    """
    for part in parts:
        for field, names in fields.items():
            for name in names:
                fine = name in part.cells
                hint = (
                    "" if fine else did_you_mean(name, part.cells)
                )  # This is slow for many columns.
                rule = f"must name columns of {part.places[0][0]} ({hint})"
                require(fine, source, field, rule, name)
    wanted = [name for names in fields.values() for name in names]
    cells = {name: [cell for part in parts for cell in part.cells[name]] for name in wanted}
    places = [place for part in parts for place in part.places]
    return Columns(cells, places, parts[0].format)


def part_rows(source: Any, parts: list[Columns], labels: dict) -> list[np.ndarray]:
    """Indices of the rows of train, validation and test, in the concatenated rows.

    Three files are the parts; a single one is split at random, stratified by the first label.

    Raises:
      BadInput: if a part is empty.
    """
    counts = [len(part.places) for part in parts]
    if len(parts) == len(PARTS):
        return np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    first = labels[source.labels[0]] if source.labels else np.zeros(counts[0], np.int32)
    rng = generator(source.seed, "columns")
    drawn = stratified_split(first, source.validation, source.test, rng)
    for name, rows in zip(PARTS, drawn, strict=True):
        require(len(rows) > 0, source, "path", f"must have rows for {name}", source.path)
    return list(drawn)


def rows_by_part(values: Sequence[Any], rows: list[np.ndarray]) -> dict[str, list[Any]]:
    """Splits the values of all rows by part."""
    named = zip(PARTS, rows, strict=True)
    return {part: [values[row] for row in each.tolist()] for part, each in named}


def labels_of(source: Any, columns: Columns) -> dict[str, np.ndarray]:
    """A source's labels of all rows: classes int32 `[N]`, continuous targets float32 `[N]`."""
    found = {name: encode_categories(columns, name)[0] for name in source.labels}
    for name in source.numbers:
        values = parse_numbers(columns, name)
        require_precision(columns, name, values, values)
        found[name] = values.astype(np.float32)
    return found
