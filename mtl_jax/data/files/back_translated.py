"""A data source for texts with two precomputed paraphrases each, such as back-translations."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require, require_int
from mtl_jax.data.files.duplicates import require_distinct_files, warn_of_repeats
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.files.text_files import parse_json, read_text, require_characters

FILES = {"train": "train.json", "validation": "dev.json", "test": "test.json"}
VERSIONS = ("ori", "aug_0", "aug_1")


@dataclasses.dataclass(frozen=True)
class BackTranslatedTexts(DataSource):
    """Texts in three versions, the original and two paraphrases, from JSON files as in USB.

    The folder contains `train.json`, `dev.json` (validation) and `test.json`, each a list or a dict
    of rows: `{"ori": ..., "aug_0": ..., "aug_1": ..., "label": 3}`. A version is a string, which
    the tokenizer maps to tokens, or a list of tokens. Rows of the training part require all three
    versions, other rows only the original. A row without "label" has the label -1.

    "inputs" is int32, `[N, 3, T]` in the training part, for the policies
    `augment.tokens.OriginalText` and `BackTranslated`, and `[N, T]` in the other parts. "label" is
    int32 `[N]`. Sequences are truncated or padded at the end to length T.

    Attributes:
      path: path of the folder.
      length: T.
      tokenizer: a named function from a text to its tokens, integers of at least 0, including
        special tokens; None if the files contain tokens.
      padding: padding token.

    Raises:
      BadInput: for a length below 1, a padding below 0 or a tokenizer that is not callable; and
        from `load` and `shapes` for a file that does not exist, is not JSON or has no rows, and,
        naming the row, for a version that is missing, empty or not tokens, or a label that is not
        an integer; from `load` for parts that are the same file or contained in one another.
        Some originals that occur in two parts cause a `DataWarning`.

    Reference: Wang et al., USB, NeurIPS 2022 Datasets and Benchmarks, its section on tasks
      (https://arxiv.org/abs/2208.07204).

    Example:
      >>> from mtl_jax import data
      >>> data.BackTranslatedTexts("yelp", length=128)  # Its files hold tokens.
      BackTranslatedTexts(path='yelp', length=128, tokenizer=None, padding=0)
    """

    path: str
    length: int
    tokenizer: Callable[[str], Sequence[int]] | None = None
    padding: int = 0

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        require_int(self, length=1, padding=0)
        valid = self.tokenizer is None or callable(self.tokenizer)
        require(valid, self, "tokenizer", "must be a function or None", self.tokenizer)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; its rows are counted."""
        count = len(self.rows("train"))
        shape = (count, len(VERSIONS), self.length)
        return {
            "inputs": jax.ShapeDtypeStruct(shape, np.int32),
            "label": jax.ShapeDtypeStruct((count,), np.int32),
        }

    def load(self) -> Splits:
        """Reads and tokenizes the texts."""
        require_distinct_files([self.file(name) for name in FILES])
        splits = Splits(*(self.part(name) for name in FILES))
        texts = {name: [json.dumps(row["ori"]) for _, row in self.rows(name)] for name in FILES}
        warn_of_repeats(self, "original", texts, user_split=True)
        return splits

    def part(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of one part."""
        rows = self.rows(name)
        versions = VERSIONS if name == "train" else VERSIONS[:1]
        image = np.full((len(rows), len(versions), self.length), self.padding, np.int32)
        label = np.empty(len(rows), np.int32)
        for i, (where, row) in enumerate(rows):
            label[i] = label_of(where, row)
            for row_tokens, version in zip(image[i], versions, strict=True):
                tokens = self.tokens(where, row, version)[: self.length]
                row_tokens[: len(tokens)] = tokens
        return {"inputs": image if name == "train" else image[:, 0], "label": label}

    def rows(self, name: str) -> list[tuple[str, Any]]:
        """The rows of a part, each with its name for error messages."""
        file = self.file(name)
        content = parse_json(str(file), read_text(file))
        if not isinstance(content, list | dict) or not content:
            raise BadInput(f"{file} must be a list or a dict of rows, and have some")
        rows = content.items() if isinstance(content, dict) else enumerate(content)
        return [(f"{file}, row {key}", row) for key, row in rows]

    def file(self, name: str) -> pathlib.Path:
        """The file of a part."""
        file = expand_path(self.path) / FILES[name]
        require(file.is_file(), self, "path", f"must have the file {file.name}", self.path)
        return file

    def tokens(self, where: str, row: Mapping[str, Any], version: str) -> Sequence[int]:
        """The tokens of one version of a row."""
        value = row.get(version)
        if value is None:
            raise BadInput(f"{where} must have {version!r}; it has {', '.join(map(repr, row))}")
        if isinstance(value, str):
            if self.tokenizer is None:
                raise BadInput(
                    f"{where} has text in {version!r}: give BackTranslatedTexts a tokenizer"
                )
            require_characters(f"{where}: {version!r}", value)
            value = list(self.tokenizer(value))
        valid = isinstance(value, list) and len(value) > 0
        valid = valid and all(is_integer(token) and 0 <= token < 2**31 for token in value)
        if not valid:
            rule = f"must have tokens in {version!r}, integers of at least 0"
            raise BadInput(f"{where} {rule}, not {str(value)[:60]!r}")
        return value


def label_of(where: str, row: Any) -> int:
    """The label of a row, -1 if it has none; USB writes some as strings of digits."""
    if not isinstance(row, dict):
        raise BadInput(f"{where} must be a dict, not {str(row)[:60]!r}")
    label = row.get("label", -1)
    is_digits = isinstance(label, str) and re.fullmatch("-?[0-9]{1,10}", label)
    if not ((is_integer(label) or is_digits) and -1 <= int(label) < 2**31):
        rule = "must have an integer as label, -1 if it is missing"
        raise BadInput(f"{where} {rule}, not {label!r}")
    return int(label)


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, of Python or NumPy, and not a bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
