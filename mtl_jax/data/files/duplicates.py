"""Detection of rows and files that occur in more than one part."""

import itertools
import pathlib
import warnings
from collections.abc import Hashable, Mapping, Sequence

from mtl_jax.core.validation import BadInput, DataWarning


def require_own_files(files: Sequence[pathlib.Path]) -> None:
    """Checks that the files of the parts are different, also in content.

    Raises:
      BadInput: naming two files that are the same.
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
    """Warns of rows that occur in two parts, with their number.

    Args:
      owner: the source.
      what: the compared content of a row, such as "features".
      parts: rows of each part, in the order of train, validation and test.
      given: whether the parts are the user's own, and not a random split.
      unit: name of a row.

    Raises:
      BadInput: if all rows of a given part occur in another one whose own rows are distinct: then
        it is not a separate part. Repeated rows within a part indicate few possible values.
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
