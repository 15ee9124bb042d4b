"""A data source for texts in users' files: tokenized texts, and labels."""

import dataclasses
import functools
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.class_names import warn_of_classes
from mtl_jax.data.files.column_splits import (
    ColumnSplits,
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
from mtl_jax.data.files.columns import Names, cell_error, encode_categories, read_columns
from mtl_jax.data.files.duplicates import warn_of_repeats

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")


@dataclasses.dataclass(frozen=True)
class Texts(DataSource):
    """A column of texts: "inputs" int32 `[N, T]`, their tokens, and labels `[N]`.

    `path` is either a file, which is split at random, stratified by the first of `labels`; or a
    folder with one file per part, called train, validation (or val, dev, valid) and test. A file is
    CSV (`.csv`) or TSV (`.tsv`) with a header, JSON lines (`.jsonl`), or a JSON list or dict of
    objects (`.json`, as in USB, with the texts in "ori"; or as written by pandas and Hugging Face).
    In CSV, a cell that contains the separator or begins with a quote is enclosed in double quotes,
    with inner quotes doubled; in TSV, quotes may be literal (see `delimited_rows`). Columns that
    are not named by a field are ignored.

    A label is a class, as its index among the sorted classes of all parts, int32 and -1 where
    missing (see `classes`); or a continuous target, float32 and NaN where missing. Missing values
    are those of pandas (an empty cell, "NA", "N/A", "NaN", "None", "null" or the like) and "?", and
    in JSON null or an absent key. Codes are strings: "01" and "1" are two classes. The fingerprint
    of a run contains only the path; the contents of the files are recorded in its `run.json`.

    Warns (`DataWarning`) of ambiguous class names, such as "None" or "Yes" next to "yes", and of
    texts that occur in two parts.

    Attributes:
      path: path of the file or the folder.
      tokens: tokenizer from N texts, possibly none, to int32 `[N, T]`, such as a `WordPiece`.
      text: column of the texts.
      labels: columns of classes, strings or integers; () if all labels are continuous.
      numbers: columns of continuous targets.
      validation: fraction of the validation part of a random split.
      test: fraction of the test part of a random split.
      seed: seed of the random split.
      delimiter: cell separator, such as ";"; None is a comma or, in `.tsv`, a tab.
      decimal: "," if it is the decimal mark in CSV and TSV; None is a point.
      comment: prefix of lines to omit from CSV and TSV; None if there are none.
      missing: additional markers of missing labels, such as ("-", "-999").
      not_missing: markers that are class names here, such as ("None",).

    Raises:
      BadInput: for a setting of the wrong type, no label, a column named twice, fractions outside
        (0, 1) or that leave no training part, or a negative seed; and from `load`, `shapes` and
        `classes` for a file that does not exist or cannot be read, missing columns, parts that are
        the same file or contained in another one, and, naming line and column, for a row of another
        length, a target that is not a number, classes that are not integers, numbers that are equal
        in float32, or a text without a visible character; from `load` and `shapes` as raised by
        `tokens`, or if its result has another shape or type.

    Reference: Wang et al., USB, NeurIPS 2022 Datasets and Benchmarks, its section on tasks
      (https://arxiv.org/abs/2208.07204), for `.json`.

    Example:
      >>> from mtl_jax import data
      >>> source = data.Texts("reviews.tsv", data.WordPiece("vocab.txt"), labels=("stars",))
      >>> source.fields()
      {'text': ('text',), 'labels': ('stars',), 'numbers': ()}
    """

    path: str
    tokens: Callable[[Sequence[str]], np.ndarray]
    text: str = "text"
    labels: tuple[str, ...] = ("label",)
    numbers: tuple[str, ...] = ()
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0
    delimiter: str | None = None
    decimal: Literal[","] | None = None
    comment: str | None = None
    missing: tuple[str, ...] = ()
    not_missing: tuple[str, ...] = ()

    def __post_init__(self):
        rule = "must be a function such as data.WordPiece(path)"
        valid = callable(self.tokens) and not isinstance(self.tokens, type)
        require(valid, self, "tokens", rule, self.tokens)
        require(isinstance(self.text, str), self, "text", "must be a string", self.text)
        require_columns(self, **self.fields())
        require_format(self)

    def fields(self) -> dict[str, tuple[str, ...]]:
        """Column names by field."""
        return {"text": (self.text,), "labels": self.labels, "numbers": self.numbers}

    def text_tokenizer(self) -> Callable:
        """The tokenizer."""
        return self.tokens

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; reads the files if they have changed."""
        labels = label_shapes(self, stamps(files_of(self, SUFFIXES)))
        image = tokens_of(self, ())
        count = next(iter(labels.values())).shape
        return {"inputs": jax.ShapeDtypeStruct((*count, *image.shape[1:]), np.int32), **labels}

    def load(self) -> Splits:
        """Reads and tokenizes the texts."""
        columns, labels, rows = self.read()
        texts = columns.cells[self.text]
        warn_of_classes(self, columns, self.labels)
        has_files_by_part = len(files_of(self, SUFFIXES)) > 1
        warn_of_repeats(self, "text", rows_by_part(texts, rows), has_files_by_part)
        arrays = {"inputs": tokens_of(self, texts), **labels}
        return Splits(*({name: array[i] for name, array in arrays.items()} for i in rows))

    def classes(self) -> dict[str, Names]:
        """The classes of each column of `labels`, in the order of their integers."""
        columns, _, _ = self.read()
        return {name: encode_categories(columns, name)[1] for name in self.labels}

    def read(self) -> ColumnSplits:
        """The columns of all files, their labels, and the rows of each part."""
        names = (self.text, *self.labels, *self.numbers)
        format = format_of(self)
        parts = [read_columns(file, names, format) for file in files_of(self, SUFFIXES)]
        columns = concatenate_columns(self, parts, **self.fields())
        texts = columns.cells[self.text]
        empty = [row for row, text in enumerate(texts) if not any(map(is_visible, text))]
        if empty:
            raise cell_error(columns, self.text, empty[0], "must have a text")
        labels = labels_of(self, columns)
        return ColumnSplits(columns, labels, part_rows(self, parts, labels))


@functools.lru_cache(maxsize=64)
def label_shapes(source: Texts, stamps: tuple) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of the training labels, cached by the stamps of the files."""
    _, labels, rows = source.read()
    return {
        name: jax.ShapeDtypeStruct(rows[0].shape, array.dtype) for name, array in labels.items()
    }


def is_visible(letter: str) -> bool:
    """Whether a character is visible: spaces, control characters and joiners are not."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Zs", "Zl", "Zp")


def tokens_of(source: Texts, texts: Sequence[str]) -> np.ndarray:
    """The tokens of N texts, int32 `[N, T]`."""
    tokens = source.tokens(texts)
    valid = isinstance(tokens, np.ndarray) and tokens.dtype == np.int32 and tokens.ndim == 2
    if not valid or len(tokens) != len(texts):
        rule = f"must make int32 [{len(texts)}, T] of {len(texts)} texts"
        actual = tokens
        if isinstance(tokens, np.ndarray):
            actual = f"{tokens.dtype} {list(tokens.shape)}"
        raise BadInput(f"Texts.tokens {rule}, not {actual}")
    return tokens
