"""Parts and labels of tables in users' files: from three files, or sampled from one."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.core.validation import did_you_mean, require, require_choice
from mtl_jax.data.files.columns import MISSING, Columns, Format, encode_categories, parse_numbers
from mtl_jax.data.files.duplicates import require_distinct_files
from mtl_jax.data.files.float_precision import require_precision
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.random_split import generator, require_split, stratified_split

ColumnSource = Any  # A `Table`, `Texts` or `ImageTable`.
PARTS = {
    "train": ("train",),
    "validation": ("validation", "val", "dev", "valid"),
    "test": ("test",),
}


class ColumnSplits(NamedTuple):
    """Columns and labels of a source, and the rows of its parts."""

    columns: Columns  # of all files
    labels: dict[str, np.ndarray]  # [N, ...] each
    rows: list[np.ndarray]  # indices of the rows of each part


def require_columns(source: ColumnSource, **fields: tuple[str, ...]) -> None:
    """Checks the settings that column-based sources share, and `fields` that name columns.

    Raises:
      BadInput: for a path that is not a string, columns that are not a tuple of names, a column
        named twice, no label, labels called "inputs", fractions outside (0, 1) or that leave no
        training part, or a negative seed.
    """
    require(isinstance(source.path, str), source, "path", "must be a string", source.path)
    columns = []
    for field, names in fields.items():
        valid = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
        require(valid, source, field, "must be a tuple of names of columns", names)
        for name in names:
            require(name not in columns, source, field, "must not name a column again", name)
            columns.append(name)
    labels = (*source.labels, *source.numbers)
    require(len(labels) > 0, source, "labels", "and numbers must name a label", source.labels)
    for name in labels:
        valid = name not in ("", "inputs")
        require(valid, source, "labels", "must not have such a name", name)
    require_split(source)


def require_format(source: ColumnSource) -> None:
    """Checks the settings of the file format.

    Raises:
      BadInput: for a delimiter that is not a single character, a comment that is not a string, a
        decimal mark that is not a comma, markers that are not a tuple of strings, or a
        `not_missing` marker that is not one of the defaults.
    """
    mark, comment = source.delimiter, source.comment
    valid = mark is None or (isinstance(mark, str) and len(mark) == 1 and mark not in '"\r\n ')
    require(valid, source, "delimiter", "must be a character or None", mark)
    valid = comment is None or (isinstance(comment, str) and comment.strip() not in ("", '"'))
    require(valid, source, "comment", 'must be a string such as "#", or None', comment)
    require_choice(source, decimal=(None, ","))
    for field in ("missing", "not_missing"):
        markers = getattr(source, field)
        valid = isinstance(markers, tuple) and all(isinstance(marker, str) for marker in markers)
        require(valid, source, field, "must be a tuple of strings", markers)
    for marker in source.not_missing:
        valid = marker != "" and marker in MISSING and marker not in source.missing
        rule = f"must be some of {MISSING[1:]} that are not in missing"
        require(valid, source, "not_missing", rule, marker)


def format_of(source: ColumnSource) -> Format:
    """The file format of a source."""
    default = tuple(marker for marker in MISSING if marker not in source.not_missing)
    additional = tuple(marker.strip() for marker in source.missing)
    return Format(source.delimiter, source.comment, source.decimal, (*default, *additional))


def files_of(source: ColumnSource, suffixes: tuple[str, ...]) -> list[pathlib.Path]:
    """The file at a source's path, or the files of the three parts if it is a folder.

    Raises:
      BadInput: if there is neither, a file has another suffix, a part has no file or several, or
        two parts are the same file.
    """
    root = expand_path(source.path)
    if root.is_file():
        valid = root.suffix.lower() in suffixes
        require(valid, source, "path", f"must end in {' or '.join(suffixes)}", source.path)
        return [root]
    require(root.is_dir(), source, "path", "must be a file or a folder", source.path)
    files = [file for file in sorted(root.iterdir()) if file.suffix.lower() in suffixes]
    parts = [[file for file in files if file.stem.lower() in s] for s in PARTS.values()]
    for (name, stems), matches in zip(PARTS.items(), parts, strict=True):
        expected = f"{' or '.join(stems)} with {' or '.join(suffixes)}"
        rule = f"must have one file for {name}, named {expected}"
        require(len(matches) == 1, source, "path", rule, [file.name for file in matches])
    require_distinct_files([file for (file,) in parts])
    return [file for (file,) in parts]


def stamps(files: Iterable[pathlib.Path]) -> tuple[tuple[str, int, int], ...]:
    """Stamps that identify files and their modifications, as keys of a cache."""
    return tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files)


def concatenate_columns(
    source: ColumnSource, parts: list[Columns], **fields: tuple[str, ...]
) -> Columns:
    """Concatenates the rows of all files, for the columns that a source's `fields` name.

    Raises:
      BadInput: naming the field and the file, if that lacks a column.
    """
    for part in parts:
        for field, names in fields.items():
            for name in names:
                valid = name in part.cells
                # Slow for many columns.
                hint = "" if valid else did_you_mean(name, part.cells)
                rule = f"must name columns of {part.locations[0][0]} ({hint})"
                require(valid, source, field, rule, name)
    required = [name for names in fields.values() for name in names]
    cells = {name: [cell for part in parts for cell in part.cells[name]] for name in required}
    locations = [location for part in parts for location in part.locations]
    return Columns(cells, locations, parts[0].format)


def part_rows(source: ColumnSource, parts: list[Columns], labels: dict) -> list[np.ndarray]:
    """Indices of the rows of train, validation and test, in the concatenated rows.

    Three files are the parts; a single one is split at random, stratified by the first label.

    Raises:
      BadInput: if a part is empty.
    """
    counts = [len(part.locations) for part in parts]
    if len(parts) == len(PARTS):
        return np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    first = labels[source.labels[0]] if source.labels else np.zeros(counts[0], np.int32)
    rng = generator(source.seed, "columns")
    splits = stratified_split(first, source.validation, source.test, rng)
    for name, rows in zip(PARTS, splits, strict=True):
        require(len(rows) > 0, source, "path", f"must have rows for {name}", source.path)
    return list(splits)


def rows_by_part(values: Sequence[Any], rows: list[np.ndarray]) -> dict[str, list[Any]]:
    """Splits the values of all rows by part."""
    named = zip(PARTS, rows, strict=True)
    return {part: [values[i] for i in indices.tolist()] for part, indices in named}


def labels_of(source: ColumnSource, columns: Columns) -> dict[str, np.ndarray]:
    """A source's labels of all rows: classes int32 `[N]`, continuous targets float32 `[N]`."""
    labels = {name: encode_categories(columns, name)[0] for name in source.labels}
    for name in source.numbers:
        values = parse_numbers(columns, name)
        require_precision(columns, name, values, values)
        labels[name] = values.astype(np.float32)
    return labels
