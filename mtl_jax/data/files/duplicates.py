"""Detection of rows and files that occur in more than one part."""

import itertools
import pathlib
import warnings
from collections.abc import Hashable, Mapping, Sequence

from mtl_jax.core.validation import BadInput, DataWarning


def require_distinct_files(files: Sequence[pathlib.Path]) -> None:
    """Checks that the files of the parts are different, also in content.

    Raises:
      BadInput: naming two files that are the same.
    """
    for a, b in itertools.combinations(files, 2):
        same_size = a.stat().st_size == b.stat().st_size
        if same_size and a.read_bytes() == b.read_bytes():
            raise BadInput(f"{a} and {b} must be different parts, but hold the same")


def warn_of_repeats(
    owner: object,
    what: str,
    parts: Mapping[str, Sequence[Hashable]],
    user_split: bool,
    unit: str = "row",
) -> None:
    """Warns of rows that occur in two parts, with their number.

    Args:
      owner: the source.
      what: the compared content of a row, such as "features".
      parts: rows of each part, in the order of train, validation and test.
      user_split: whether the parts are the user's own, and not a random split.
      unit: name of a row.

    Raises:
      BadInput: if all rows of such a part occur in another one whose own rows are distinct: then
        it is not a separate part. Repeated rows within a part indicate few possible values.
    """
    messages, sets = [], {name: set(rows) for name, rows in parts.items()}
    for a, b in itertools.combinations(parts, 2):
        shared, count = sum(row in sets[a] for row in parts[b]), len(parts[b])
        if shared == 0:
            continue
        text = f"{shared} of {count} {unit}s of {b} have the {what} of a {unit} of {a}"
        if user_split and shared == count > 1 and len(sets[a]) == len(parts[a]):
            raise BadInput(f"{type(owner).__name__}.path must have parts of their own: {text}")
        messages.append(text)
    if messages:
        warnings.warn(f"{type(owner).__name__}: {'; '.join(messages)}", DataWarning, stacklevel=2)
