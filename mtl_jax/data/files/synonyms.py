"""Reader of synonym tables."""

import pathlib
import re
from collections.abc import Callable
from typing import Any

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.files.text_files import parse_json, read_text


def read_synonyms(
    path: str, token: Callable[[str], int | None] | None = None
) -> tuple[tuple[int, ...], ...]:
    """Reads a table for `augment.tokens.Synonyms` from a JSON file.

    The file is a dict from a word to a list of words. Words that are not a single token, and a word
    among its own synonyms, are omitted, and so are rows that become empty.

    Args:
      path: path of the file.
      token: maps a word to its token, or to None if it has none; None if the words are themselves
        tokens, written as integers.

    Returns:
      Rows `(token, synonym, ...)`, in ascending order.

    Raises:
      BadInput: for a file that does not exist or is not such a dict, and for a word that is not an
        integer if no `token` is given.

    Example:
      >>> from mtl_jax import data
      >>> data.read_synonyms("synonyms.json")  # doctest: +SKIP
      ((7, 8, 9),)
    """
    file = expand_path(path)
    table = parse_json(str(file), read_text(file))
    valid = isinstance(table, dict) and all(isinstance(row, list) for row in table.values())
    if not valid:
        raise BadInput(f"{file} must be a dict from a word to a list of words")
    rows: dict[int, dict[int, None]] = {}
    for word, synonyms in table.items():
        head, *tokens = (token_of(file, item, token) for item in (word, *synonyms))
        if head is not None:
            # A dict preserves the order and removes duplicates.
            row = rows.setdefault(head, {})
            row.update({item: None for item in tokens if item is not None and item != head})
    return tuple(sorted((head, *row) for head, row in rows.items() if row))


def token_of(
    file: pathlib.Path, word: Any, token: Callable[[str], int | None] | None
) -> int | None:
    """The token of a word of the file, or None."""
    if token is not None:
        return token(word)
    if type(word) is int or (isinstance(word, str) and re.fullmatch("[0-9]+", word)):
        return int(word)
    raise BadInput(f"{file} has the word {word!r}: give read_synonyms its token")
