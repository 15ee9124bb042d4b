"""What a reader of the numbers should know of a source's data, as warnings of one line."""

import warnings

from mtl_jax.core.validation import DataWarning


def tell(source: object, text: str) -> None:
    """Warns of something in the data of a source, which has a path.

    Warns:
      DataWarning: with the source, its path and the text.
    """
    warnings.warn(f"{type(source).__name__} {source.path!r}: {text}", DataWarning, stacklevel=3)
