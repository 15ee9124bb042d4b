"""Single-line warnings about the data of a source."""

import warnings

from mtl_jax.core.validation import DataWarning


def warn_of(source: object, text: str) -> None:
    """Warns about the data of a source that has a path.

    Warns:
      DataWarning: with the source, its path and the text.
    """
    warnings.warn(f"{type(source).__name__} {source.path!r}: {text}", DataWarning, stacklevel=3)
