"""Matching of classes, features and tokens of several data sources by name."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean
from mtl_jax.data.files.columns import Names
from mtl_jax.data.files.wordpiece import WordPiece, read_vocabulary

Columns = dict[str, Names | None]  # By column: its values if it is one-hot, None if it is numeric.


class Joined(NamedTuple):
    """Names of several domains, joined."""

    names: Names  # all names, starting with those of the first domain
    indices: list[np.ndarray]  # per domain, the index of each of its names among all names, [C]


def join_names(
    names_by_domain: Sequence[Names | None], domains: Sequence[str], what: str
) -> Joined | None:
    """Joins the names of all domains: the first domain's in its order, then additional ones.

    Names are compared as strings. If some domain has no names, integers are unchanged, provided
    that the names of the others are 0, 1, ... themselves.

    Args:
      names_by_domain: names of each domain, or None.
      domains: name of each domain in errors.
      what: name of the named items in errors.

    Returns:
      All names, or None if integers are unchanged.

    Raises:
      BadInput: if two domains spell a name differently (case, spaces, Unicode); or if some domains
        have names other than 0, 1, ..., and others have none.
    """
    pairs = list(zip(names_by_domain, domains, strict=True))
    named = [(names, domain) for names, domain in pairs if names is not None]
    unnamed = [domain for names, domain in pairs if names is None]
    for names, domain in named if unnamed else ():
        if tuple(map(str, names)) != tuple(map(str, range(len(names)))):
            raise BadInput(
                f"Domains: the {what} of {domain} are {list_names(names)}, but {unnamed[0]} gives "
                "no names, so its own may be different; use sources that give names for both"
            )
    if unnamed:
        return None
    index, spellings, union = {}, {}, []
    for names, domain in named:
        strings = set(map(str, names))
        for name in names:
            first, origin = spellings.setdefault(normalize_name(str(name)), (str(name), domain))
            if first != str(name) and first not in strings and str(name) not in index:
                raise BadInput(
                    f"Domains: the {what} must be written alike: {first!r} in {origin}, "
                    f"{str(name)!r} in {domain}"
                )
            if str(name) not in index:
                index[str(name)] = len(union)
                union.append(name)
    indices = [np.array([index[str(name)] for name in names], np.int32) for names, _ in named]
    return Joined(tuple(union), indices)


def join_columns(tables: Sequence[Columns | None], domains: Sequence[str]) -> Joined | None:
    """Joins the features of all domains by column, and one-hot columns by value.

    Columns are in the order of the first domain. A value that a domain does not have is 0 in all
    of its rows.

    Returns:
      The names of all features, or None if they are unchanged.

    Raises:
      BadInput: if a column is missing in a domain, or numeric in one and one-hot in another; if
        values are spelled in two ways; or if only some domains provide columns.
    """
    named = [columns for columns in tables if columns is not None]
    if not named:
        return None
    for columns, domain in zip(tables, domains, strict=True):
        if columns is None:
            rule = "Domains: features must have names in every domain or in none"
            raise BadInput(f"{rule}, but {domain} gives no columns")
        check_columns(columns, domain, named[0], domains[0])
    names, starts, values = [], {}, {}
    for name, first in named[0].items():
        starts[name] = len(names)
        if first is None:
            names.append(name)
            continue
        joined = join_names([c[name] for c in named], domains, f"values of column {name!r}")
        assert joined is not None  # Every domain has values, see `check_columns`.
        values[name] = joined
        names += [f"{name}={value}" for value in joined.names]
    indices = [
        np.concatenate(
            [
                starts[name]
                + (values[name].indices[i] if name in values else np.zeros(1, np.int32))
                for name in columns
            ]
        )
        for i, columns in enumerate(named)
    ]
    return Joined(tuple(names), indices)


def check_columns(columns: Columns, domain: str, first: Columns, first_domain: str) -> None:
    """Checks that a domain has the columns of the first one, of the same kind."""
    for name in (*columns, *first):
        if name not in columns or name not in first:
            has, lacks = (domain, first_domain) if name in columns else (first_domain, domain)
            others = first if name in columns else columns
            rule = f"{has} has column {name!r}, which {lacks} has not"
            hint = did_you_mean(name, others)
            raise BadInput(f"Domains: features must be of the same columns, but {rule} ({hint})")
        if (columns[name] is None) != (first[name] is None):
            rule = f"Domains: column {name!r} must be one of categories in every domain"
            raise BadInput(f"{rule} or in none, not only in some")


def normalize_name(name: str) -> str:
    """Normalizes a name: ignores case, spaces, hyphens and Unicode forms."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def list_names(names: Sequence, max_names: int = 5) -> str:
    """Formats the first of several names."""
    return ", ".join(map(repr, names[:max_names])) + (", ..." if len(names) > max_names else "")


def same_tokens(a: Callable, b: Callable) -> bool:
    """Whether two tokenizers map the same pieces to the same integers."""
    if a == b or not (isinstance(a, WordPiece) and isinstance(b, WordPiece)):
        return a == b
    return a.lower == b.lower and read_vocabulary(a.path) == read_vocabulary(b.path)
