"""What a reader of the numbers should know of a source's data, as warnings of one line."""

import warnings
from collections.abc import Sequence

from mtl_jax.checks import DataWarning


def tell(source: object, text: str) -> None:
    """Warns of something in the data of a source, which has a path.

    Warns:
      DataWarning: with the source, its path and the text.
    """
    warnings.warn(f"{type(source).__name__} {source.path!r}: {text}", DataWarning, stacklevel=3)


def listing(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    shown, more = ", ".join(names[:5]), len(names) - 5
    return f"{shown} and {more} more" if more > 0 else shown
