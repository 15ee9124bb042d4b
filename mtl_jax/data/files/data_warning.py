"""Single-line warnings about the data of a source."""

import warnings
from typing import Protocol

from mtl_jax.core.validation import DataWarning


class HasPath(Protocol):
    """A source that reads the files at a path."""

    @property
    def path(self) -> str:
        """The path, as the user wrote it."""


def warn_of(source: HasPath, text: str) -> None:
    """Warns about the data of a source that has a path.

    Warns:
      DataWarning: with the source, its path and the text.
    """
    warnings.warn(f"{type(source).__name__} {source.path!r}: {text}", DataWarning, stacklevel=3)
