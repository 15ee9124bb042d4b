"""A source of texts in a user's own files, as tokens, with other columns as labels."""

import dataclasses
import functools
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.protocols import Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.class_names import warn_of_classes
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
from mtl_jax.data.files.columns import Columns, coded, fault, read_columns
from mtl_jax.data.files.duplicates import warn_of_repeats

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")


@dataclasses.dataclass(frozen=True)
class Texts:
    """A column of texts: "image" int32 `[N, T]`, their tokens, and labels `[N]`.

    `path` is a file, of which the parts are drawn at random, in every class of the first of
    `labels` alike; or a folder with a file for each part, called train, validation (or val, dev,
    valid) and test. A file is CSV (`.csv`) or TSV (`.tsv`) with a header, has a JSON object in each line
    (`.jsonl`), or is a JSON list or dict of objects (`.json`, as USB has it, with the texts in
    "ori"; or as pandas and Hugging Face write it). In CSV a cell that holds what separates cells, or
    begins with a quote, stands in double quotes, with those in it doubled; in TSV quotes may be
    text (see `delimited_rows`). Columns that no field names are left out.

    A label is the place of its class among those of all parts in sorted order, int32 and -1 where
    missing (`classes` tells them); or a number, float32 and NaN where missing. What pandas takes
    for missing is missing: what is empty, "NA", "N/A", "NaN", "None", "null" or the like; and "?",
    and in JSON what is null or not there. Codes are names: "01" and "1" are two classes. The
    fingerprint of a run has the path alone; what the files held stands in its `run.json`.

    Warns (`DataWarning`) of names that may mean something else, such as "None" or "Yes" beside
    "yes", and of texts that stand in two parts.

    Attributes:
      path: of the file or the folder.
      tokens: from N texts, also none, to tokens int32 `[N, T]`, such as a `WordPiece`.
      text: the column of texts.
      labels: columns of classes, names or whole numbers; () if all labels are numbers.
      numbers: columns of labels that are numbers.
      validation: share of the validation part, if parts are drawn.
      test: share of the test part, if parts are drawn.
      seed: of the drawing.
      delimiter: what separates cells, such as ";"; None is a comma or, in `.tsv`, a tab.
      decimal: "," if numbers in CSV and TSV are written so; None is a point.
      comment: what begins lines that are left out of CSV and TSV; None if nothing does.
      missing: further marks of a missing label, such as ("-", "-999").
      not_missing: marks that are names of classes here, such as ("None",).

    Raises:
      BadInput: for a setting of the wrong kind, no label, a column named twice, shares outside
        (0, 1) or that leave nothing to train on, or a negative seed; and from `load`, `shapes` and
        `classes` for a file that is not there or cannot be read, columns that are not there,
        parts that are one file or stand in another one, and, naming line and column, for a row of
        another length, a number that is none, classes with fractions, numbers that float32 makes
        equal, or a text without a character that is seen; from `load` and `shapes` as `tokens`, or if these are
        of another shape or type.

    Reference: Wang et al., USB, NeurIPS 2022 Datasets and Benchmarks, its section on tasks
      (https://arxiv.org/abs/2208.07204), for `.json`.
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
        fine = callable(self.tokens) and not isinstance(self.tokens, type)
        require(fine, self, "tokens", rule, self.tokens)
        require(isinstance(self.text, str), self, "text", "must be a string", self.text)
        require_columns(self, **self.fields())
        require_format(self)

    def fields(self) -> dict[str, tuple[str, ...]]:
        """The fields that name columns."""
        return {"text": (self.text,), "labels": self.labels, "numbers": self.numbers}

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; reads the files, if they are not as before."""
        told = labelled(self, stamps(files_of(self, SUFFIXES)))
        image = tokens_of(self, ())
        count = next(iter(told.values())).shape
        return {"image": jax.ShapeDtypeStruct((*count, *image.shape[1:]), np.int32), **told}

    def load(self) -> Splits:
        """Reads the texts and turns them into tokens."""
        columns, labels, rows = self.read()
        texts = columns.cells[self.text]
        warn_of_classes(self, columns, self.labels)
        given = len(files_of(self, SUFFIXES)) > 1
        warn_of_repeats(self, "text", rows_by_part(texts, rows), given)
        arrays = {"image": tokens_of(self, texts), **labels}
        return Splits(*({name: array[each] for name, array in arrays.items()} for each in rows))

    def classes(self) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
        """The classes of each column of `labels`, in the order of their places."""
        columns, _, _ = self.read()
        return {name: coded(columns, name)[1] for name in self.labels}

    def read(self) -> tuple[Columns, dict[str, np.ndarray], list[np.ndarray]]:
        """The columns of all files, their labels, and which rows each part has."""
        names = (self.text, *self.labels, *self.numbers)
        format = format_of(self)
        parts = [read_columns(file, names, format) for file in files_of(self, SUFFIXES)]
        columns = laid_together(self, parts, **self.fields())
        texts = columns.cells[self.text]
        empty = [at for at, text in enumerate(texts) if not any(map(is_seen, text))]
        if empty:
            raise fault(columns, self.text, empty[0], "must have a text")
        labels = labels_of(self, columns)
        return columns, labels, part_rows(self, parts, labels)


@functools.lru_cache(maxsize=64)
def labelled(source: Texts, stamps: tuple) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of the labels that train, as the files are by their stamps."""
    _, labels, rows = source.read()
    return {
        name: jax.ShapeDtypeStruct(rows[0].shape, array.dtype) for name, array in labels.items()
    }


def is_seen(letter: str) -> bool:
    """Whether a letter leaves a mark: spaces, controls and joiners do not."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Zs", "Zl", "Zp")


def tokens_of(source: Texts, texts: Sequence[str]) -> np.ndarray:
    """The tokens of N texts, int32 `[N, T]`."""
    found = source.tokens(texts)
    fine = isinstance(found, np.ndarray) and found.dtype == np.int32 and found.ndim == 2
    if not fine or len(found) != len(texts):
        rule = f"must make int32 [{len(texts)}, T] of {len(texts)} texts"
        told = f"{found.dtype} {list(found.shape)}" if isinstance(found, np.ndarray) else found
        raise BadInput(f"Texts.tokens {rule}, not {told}")
    return found
