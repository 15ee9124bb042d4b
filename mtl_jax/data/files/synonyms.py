"""Reading tables of synonyms."""

import pathlib
import re
from collections.abc import Callable

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.paths import path_of
from mtl_jax.data.files.text_files import parse_json, read_text


def read_synonyms(
    path: str, token: Callable[[str], int | None] | None = None
) -> tuple[tuple[int, ...], ...]:
    """Reads a table for `augment.tokens.Synonyms` from a JSON file.

    The file is a dict from a word to a list of words. A word that is no token of its own, and
    a word's own name among its synonyms, are left out, and so is a row of which nothing is left.

    Args:
      path: the file.
      token: maps a word to its token, or to None if it has none; None if the words are tokens
        as they are, written as whole numbers.

    Returns:
      Rows `(token, synonym, ...)`, in rising order.

    Raises:
      BadInput: for a file that is not there or is no such dict, and for a word that is no whole
        number if no `token` is given.
    """
    file = path_of(path)
    table = parse_json(str(file), read_text(file))
    fine = isinstance(table, dict) and all(isinstance(row, list) for row in table.values())
    if not fine:
        raise BadInput(f"{file} must be a dict from a word to a list of words")
    rows: dict[int, dict[int, None]] = {}
    for word, others in table.items():
        head, *rest = (token_of(file, each, token) for each in (word, *others))
        if head is not None:
            # A dict keeps the order and each token once.
            found = rows.setdefault(head, {})
            found.update(dict.fromkeys(one for one in rest if one not in (None, head)))
    return tuple(sorted((head, *found) for head, found in rows.items() if found))


def token_of(
    file: pathlib.Path, word: str | int, token: Callable[[str], int | None] | None
) -> int | None:
    """The token of a word, or None."""
    if token is not None:
        return token(word)
    if type(word) is int or (isinstance(word, str) and re.fullmatch("[0-9]+", word)):
        return int(word)
    raise BadInput(f"{file} has the word {word!r}: give read_synonyms its token")
