"""What a reader of the numbers should know of a source's data, as warnings of one line."""

import warnings
from collections.abc import Hashable, Mapping, Sequence

from mtl_jax.checks import DataWarning


def tell(source: object, text: str) -> None:
    """Warns of something in the data of a source, which has a path.

    Warns:
      DataWarning: with the source, its path and the text.
    """
    warnings.warn(f"{type(source).__name__} {source.path!r}: {text}", DataWarning, stacklevel=3)


def tell_repeats(source: object, what: str, parts: Mapping[str, Sequence[Hashable]]) -> None:
    """Warns of examples that stand in two parts of a source, which has a path.

    Args:
      source: whose parts they are.
      what: what examples are called, such as "images".
      parts: of each part, what tells its examples from others, such as a hash of their bytes.

    Warns:
      DataWarning: if there are such; with how many of a later part stand in an earlier one.
    """
    names, found = list(parts), []
    for at, later in enumerate(names):
        for earlier in names[:at]:
            known = set(parts[earlier])
            count = sum(key in known for key in parts[later])
            if count:
                found.append(f"{count} of the {len(parts[later])} of {later} in {earlier}")
    if found:
        tell(source, f"the same {what} stand in two parts: {', '.join(found)}")


def listing(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    shown, more = ", ".join(names[:5]), len(names) - 5
    return f"{shown} and {more} more" if more > 0 else shown
