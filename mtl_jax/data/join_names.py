"""What integers, features and tokens of data stand for, so that data are joined by name."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, near
from mtl_jax.data.files.wordpiece import WordPiece, read_vocabulary

Names = tuple[str, ...] | tuple[int, ...]
Columns = dict[str, Names | None]  # by column its values, if it is one-hot; None of a number


class Joined(NamedTuple):
    """Names of several domains put together."""

    names: Names  # all of them, those of the first domain first
    places: list[np.ndarray]  # of each domain, where each of its names is among all, [C]


def classes_of(source: Any) -> dict[str, Names]:
    """The classes of each label whose names a source tells, in the order of their integers."""
    return source.classes() if callable(getattr(source, "classes", None)) else {}


def columns_of(source: Any) -> Columns | None:
    """The columns that a source's features are made of, in their order, if it tells them."""
    return source.columns() if callable(getattr(source, "columns", None)) else None


def tokens_of(source: Any) -> Callable | None:
    """What makes a source's tokens, if it tells."""
    tokens = getattr(source, "tokens", None)
    return tokens if callable(tokens) else None


def joined_names(told: Sequence[Names | None], where: Sequence[str], what: str) -> Joined | None:
    """Names of all domains, the first domain's in its order, then what others have besides.

    Names are the same if they are as texts. Where some domain does not tell its names, integers
    are as they are, if those that are told are 0, 1, ... themselves.

    Args:
      told: of each domain its names, or None.
      where: what each domain is called.
      what: is named, for errors.

    Returns:
      All names, or None if integers stay as they are.

    Raises:
      BadInput: if one domain writes a name in another way than another domain (capitals, spaces,
        Unicode); or if some domains tell names that are not 0, 1, ..., and others none.
    """
    known = [(names, at) for names, at in zip(told, where, strict=True) if names is not None]
    silent = [at for names, at in zip(told, where, strict=True) if names is None]
    for names, at in known if silent else ():
        if tuple(map(str, names)) != tuple(map(str, range(len(names)))):
            raise BadInput(
                f"Domains: the {what} of {at} are {listed(names)}, but {silent[0]} does not tell "
                "the names of its own, so these may be others; give both by sources that tell them"
            )
    if silent:
        return None
    place, spelt, union = {}, {}, []
    for names, at in known:
        own = set(map(str, names))
        for name in names:
            first, there = spelt.setdefault(plain(str(name)), (str(name), at))
            if first != str(name) and first not in own and str(name) not in place:
                raise BadInput(
                    f"Domains: the {what} must be written alike: {first!r} in {there}, "
                    f"{str(name)!r} in {at}"
                )
            if str(name) not in place:
                place[str(name)] = len(union)
                union.append(name)
    places = [np.array([place[str(name)] for name in names], np.int32) for names, _ in known]
    return Joined(tuple(union), places)


def joined_columns(told: Sequence[Columns | None], where: Sequence[str]) -> Joined | None:
    """Features of all domains by column, and of one-hot columns by value.

    The order is that of the first domain's columns. A value that a domain does not have is 0 in
    all of its rows.

    Returns:
      The names of all features, or None if they stay as they are.

    Raises:
      BadInput: if one domain has a column that another has not, or as a number where it is one-hot
        in another; if values are written in two ways; or if some domains tell columns and others
        do not.
    """
    if all(columns is None for columns in told):
        return None
    for columns, at in zip(told, where, strict=True):
        if columns is None:
            rule = "Domains: features must have names in every domain or in none"
            raise BadInput(f"{rule}, but {at} tells no columns")
        for name in (*columns, *told[0]):
            both = name in columns, name in told[0]
            if not all(both):
                has, lacks = (at, where[0]) if both[0] else (where[0], at)
                others = told[0] if both[0] else columns
                rule = f"{has} has column {name!r}, which {lacks} has not ({near(name, others)})"
                raise BadInput(f"Domains: features must be of the same columns, but {rule}")
            if (columns[name] is None) != (told[0][name] is None):
                rule = f"Domains: column {name!r} must be one of categories in every domain"
                raise BadInput(f"{rule} or in none, not only in some")
    names, starts, values = [], {}, {}
    for name, first in told[0].items():
        starts[name] = len(names)
        if first is None:
            names.append(name)
            continue
        values[name] = joined_names([c[name] for c in told], where, f"values of column {name!r}")
        names += [f"{name}={value}" for value in values[name].names]
    places = [
        np.concatenate(
            [
                starts[name]
                + (values[name].places[at] if name in values else np.zeros(1, np.int32))
                for name in columns
            ]
        )
        for at, columns in enumerate(told)
    ]
    return Joined(tuple(names), places)


def plain(name: str) -> str:
    """A name without what is written in several ways: capitals, spaces, hyphens, Unicode forms."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def listed(names: Sequence, most: int = 5) -> str:
    """The first names of several."""
    return ", ".join(map(repr, names[:most])) + (", ..." if len(names) > most else "")


def same_tokens(one: Callable, other: Callable) -> bool:
    """Whether two makers of tokens mean the same pieces by the same numbers."""
    if one == other or not (isinstance(one, WordPiece) and isinstance(other, WordPiece)):
        return one == other
    same = one.lower == other.lower
    return same and read_vocabulary(one.path) == read_vocabulary(other.path)
