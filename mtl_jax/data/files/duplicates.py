"""Rows and files that stand in more than one part, so that a part judges what was trained on."""

import itertools
import pathlib
import warnings
from collections.abc import Hashable, Mapping, Sequence

from mtl_jax.core.validation import BadInput, DataWarning


def require_own_files(files: Sequence[pathlib.Path]) -> None:
    """Requires files of parts to be different ones, by what they hold too.

    Raises:
      BadInput: naming two that are one.
    """
    for one, other in itertools.combinations(files, 2):
        alike = one.stat().st_size == other.stat().st_size
        if alike and one.read_bytes() == other.read_bytes():
            raise BadInput(f"{one} and {other} must be different parts, but hold the same")


def warn_of_repeats(
    owner: object,
    what: str,
    parts: Mapping[str, Sequence[Hashable]],
    given: bool,
    unit: str = "row",
) -> None:
    """Warns of rows that stand in two parts, with how many.

    Args:
      owner: the source.
      what: a row has, such as "features".
      parts: of each part, in the order of train, validation and test, its rows.
      given: whether the parts are the user's own, and not drawn.
      unit: what a row is called.

    Raises:
      BadInput: if all rows of a given part stand in another one, whose own rows all differ: then it
        is no part of its own. Where rows repeat within a part, few values are possible.
    """
    found, sets = [], {name: set(rows) for name, rows in parts.items()}
    for one, other in itertools.combinations(parts, 2):
        shared = sum(row in sets[one] for row in parts[other])
        if shared == 0:
            continue
        count = len(parts[other])
        each = f"{shared} of {count} {unit}s of {other}"
        text = f"{each} have the {what} of a {unit} of {one}"
        if given and shared == count > 1 and len(sets[one]) == len(parts[one]):
            raise BadInput(f"{type(owner).__name__}.path must have parts of their own: {text}")
        found.append(text)
    if found:
        warnings.warn(f"{type(owner).__name__}: {'; '.join(found)}", DataWarning, stacklevel=2)
