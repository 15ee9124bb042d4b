"""Parsing of CSV and TSV: rows of separated cells, with or without quotes."""

import collections
import csv
import io
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.text_files import lines_of, read_text

csv.field_size_limit(2**31 - 1)  # Python's default, 131,072 characters, is too short for documents.
QUOTED = re.compile(r'"[^"]*(?:""[^"]*)*"')
SEPARATORS = ";\t|,"
COMMENTS = ("#", "%", "//")


class Row(NamedTuple):
    """One row of a file."""

    first: int  # number of its first line
    last: int  # number of its last line
    cells: list[str]  # without surrounding spaces


def delimited_rows(
    file: pathlib.Path, delimiter: str | None, comment: str | None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Lines and rows of a file of separated cells; the first row is the header.

    Rows without any value are skipped. Cells may be enclosed in double quotes, with inner quotes
    doubled. In a TSV file each line is a row, and quotes are literal as in the GLUE files, unless
    every cell that begins with a quote also ends with one. Only if its lines have different numbers
    of cells, it is parsed as CSV, where a quoted cell may span several lines.

    Args:
      file: path of the file.
      delimiter: cell separator; None is a tab in `.tsv`, otherwise the one specified by a first
        line `sep=;` (written by Excel), otherwise a comma.
      comment: prefix of lines to omit, None if there are none.

    Raises:
      BadInput: naming file and line, for a file that cannot be parsed, a column named twice, a row
        with more or fewer cells than the header, and a quoted cell that contains rows.
    """
    text = read_text(file)
    declaration = re.match(r"sep=(.)(\r?\n)", text) if delimiter is None else None
    if declaration:
        delimiter, text = declaration[1], declaration[2] + text[declaration.end() :]
    delimiter = delimiter or ("\t" if file.suffix.lower() == ".tsv" else ",")
    rows = (tsv_rows if delimiter == "\t" else quoted_rows)(file, text, delimiter, comment)
    header = rows[0].cells if rows else []
    require_header(file, header, delimiter)
    for row in rows:
        if len(row.cells) != len(header):
            raise BadInput(f"{file}, line {row.last} {row_length_error(header, row.cells)}")
    reject_merged_rows(file, text, rows, delimiter)
    for row in rows[1:]:
        yield f"line {row.last}", dict(zip(header, row.cells, strict=True))


def tsv_rows(file: pathlib.Path, text: str, delimiter: str, comment: str | None) -> list[Row]:
    """Rows of a TSV file, see `delimited_rows`."""
    rows = [
        Row(number, number, [cell.strip() for cell in line.split(delimiter)])
        for number, line in enumerate(lines_of(text), 1)
        if line.strip() and not (comment and line.startswith(comment))
    ]
    if len({len(row.cells) for row in rows}) > 1:
        try:
            return quoted_rows(file, text, delimiter, comment)
        except BadInput:
            return rows  # The caller reports the row.
    quoted = [cell for row in rows for cell in row.cells if cell.startswith('"')]
    if not all(map(QUOTED.fullmatch, quoted)):
        return rows
    rows = [row._replace(cells=[unquote(cell) for cell in row.cells]) for row in rows]
    return [row for row in rows if any(row.cells)]


def unquote(cell: str) -> str:
    """The content of a cell without enclosing quotes, if it has any."""
    return cell[1:-1].replace('""', '"').strip() if cell.startswith('"') else cell


def quoted_rows(file: pathlib.Path, text: str, delimiter: str, comment: str | None) -> list[Row]:
    """Rows of a text whose cells may be quoted, and may thus contain separators and line ends."""
    lines, rows = Lines(text, comment), []
    reader = csv.reader(iter(lines), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                rows.append(Row(lines.first, lines.last, cells))
            lines.at_row_start = True
    except csv.Error as error:
        raise BadInput(f"{file}, line {lines.last}, cannot be read: {error}") from error
    return rows


class Lines:
    """Lines of a text for a CSV reader, without the comments between rows.

    Attributes:
      at_row_start: whether the next line begins a row; set by the consumer of the reader.
      first: number of the first line of the row.
      last: number of the line that was read last.
    """

    def __init__(self, text: str, comment: str | None):
        self.text, self.comment = text, comment
        self.at_row_start, self.first, self.last = True, 0, 0

    def __iter__(self) -> Iterator[str]:
        """Yields the lines with their line ends."""
        for number, line in enumerate(io.StringIO(self.text, newline=""), 1):
            if self.at_row_start and self.comment and line.startswith(self.comment):
                continue
            self.first = number if self.at_row_start else self.first
            self.at_row_start, self.last = False, number
            yield line


def require_header(file: pathlib.Path, header: list[str], delimiter: str) -> None:
    """Checks that header names are distinct, and that the delimiter seems correct."""
    if not header:
        raise BadInput(f"{file} must have a header")
    other = next((mark for mark in SEPARATORS if mark in header[0] and mark != delimiter), None)
    if len(header) == 1 and other:
        question = f"does {other!r} separate cells? Then give delimiter={other!r}"
        raise BadInput(f"{file} has one column, {header[0]!r}: {question}")
    duplicates = [name for name, count in collections.Counter(header).items() if count > 1]
    if duplicates:
        raise BadInput(f"{file} must name each column once, not {duplicates[0]!r} twice")


def row_length_error(header: list[str], cells: list[str]) -> str:
    """Describes a row with a wrong number of cells, and a possible cause."""
    rule = f"must have {len(header)} cells as the header has, not {len(cells)}"
    for mark in COMMENTS:
        if header[0].startswith(mark) or cells[0].startswith(mark):
            return f"{rule}; if {mark!r} begins a comment, give comment={mark!r}"
    other = next((mark for mark in SEPARATORS if any(mark in name for name in header)), None)
    return rule if other is None else f"{rule}; if {other!r} separates, give delimiter={other!r}"


def reject_merged_rows(file: pathlib.Path, text: str, rows: list[Row], delimiter: str) -> None:
    """Rejects quoted cells that contain rows, due to two unbalanced quotes.

    The lines of a multi-line row look like rows if each has as many cells as the header and, in
    some column, all have values that also occur in other rows. In TSV, a multi-line cell that
    contains a tab is sufficient.
    """
    multi_line = [row for row in rows if row.last > row.first]
    if not multi_line:
        return
    lines, width = lines_of(text), len(rows[0].cells)
    single_line = [row.cells for row in rows[1:] if row.last == row.first]
    values = [{cells[column] for cells in single_line} - {""} for column in range(width)]
    for row in multi_line:
        split = [line.split(delimiter) for line in lines[row.first - 1 : row.last]]
        resemble_rows = all(len(cells) == width for cells in split) and any(
            all(cells[column].strip() in values[column] for cells in split)
            for column in range(width)
        )
        if resemble_rows or (delimiter == "\t" and any("\t" in cell for cell in row.cells)):
            raise BadInput(
                f"{file}, lines {row.first} to {row.last} are one row, by a quote that opens in "
                "the first of them, but look like rows: double that quote and quote its cell"
            )
