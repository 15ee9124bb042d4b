"""Matching of classes, features and tokens of several data sources by name."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean
from mtl_jax.data.files.wordpiece import WordPiece, read_vocabulary

Names = tuple[str, ...] | tuple[int, ...]
Columns = dict[str, Names | None]  # By column: its values if it is one-hot, None if it is numeric.


class Joined(NamedTuple):
    """Names of several domains, joined."""

    names: Names  # all names, starting with those of the first domain
    places: list[np.ndarray]  # per domain, the index of each of its names among all names, [C]


def joined_names(told: Sequence[Names | None], where: Sequence[str], what: str) -> Joined | None:
    """Joins the names of all domains: the first domain's in its order, then additional ones.

    Names are compared as strings. If some domain has no names, integers are unchanged, provided
    that the names of the others are 0, 1, ... themselves.

    Args:
      told: names of each domain, or None.
      where: name of each domain in errors.
      what: name of the named items in errors.

    Returns:
      All names, or None if integers are unchanged.

    Raises:
      BadInput: if two domains spell a name differently (case, spaces, Unicode); or if some domains
        have names other than 0, 1, ..., and others have none.
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
            first, there = spelt.setdefault(normalize_name(str(name)), (str(name), at))
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
    """Joins the features of all domains by column, and one-hot columns by value.

    Columns are in the order of the first domain. A value that a domain does not have is 0 in all
    of its rows.

    Returns:
      The names of all features, or None if they are unchanged.

    Raises:
      BadInput: if a column is missing in a domain, or numeric in one and one-hot in another; if
        values are spelled in two ways; or if only some domains provide columns.
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
                rule = f"{has} has column {name!r}, which {lacks} has not ({did_you_mean(name, others)})"
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


def normalize_name(name: str) -> str:
    """Normalizes a name: ignores case, spaces, hyphens and Unicode forms."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def listed(names: Sequence, most: int = 5) -> str:
    """Formats the first of several names."""
    return ", ".join(map(repr, names[:most])) + (", ..." if len(names) > most else "")


def same_tokens(one: Callable, other: Callable) -> bool:
    """Whether two tokenizers map the same pieces to the same integers."""
    if one == other or not (isinstance(one, WordPiece) and isinstance(other, WordPiece)):
        return one == other
    same = one.lower == other.lower
    return same and read_vocabulary(one.path) == read_vocabulary(other.path)
