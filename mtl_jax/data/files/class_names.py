"""Warnings about ambiguous names of classes."""

import collections
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator

from mtl_jax.core.validation import DataWarning
from mtl_jax.data.files.columns import MISSING, NAN, Columns, encode_categories

# Markers that always mean missing; the others are words that may be names.
UNAMBIGUOUS_MARKERS = {marker for marker in MISSING if NAN.fullmatch(marker)} | {"", "?"}
PADDED = re.compile(r"[+-]?0[0-9]+")
EXPONENT = re.compile(r"[0-9]+[eE][0-9]+")


def warn_of_classes(owner: object, columns: Columns, names: Iterable[str]) -> None:
    """Warns of ambiguities in the classes of some columns, one line each."""
    for name in names:
        for text in class_warnings(columns, name):
            warnings.warn(
                f"{type(owner).__name__}: column {name!r} of {columns.locations[0][0]} {text}",
                DataWarning,
                stacklevel=2,
            )


def warn_of_codes(owner: object, columns: Columns, names: Iterable[str]) -> None:
    """Warns of numeric columns that look like codes, such as postcodes."""
    for name in names:
        padded = next(filter(PADDED.fullmatch, columns.cells[name]), None)
        if padded is not None:
            text = (
                f"has cells such as {padded!r}, read as numbers; if they are codes, give categories"
            )
            warnings.warn(
                f"{type(owner).__name__}: column {name!r} of {columns.locations[0][0]} {text}",
                DataWarning,
                stacklevel=2,
            )


def class_warnings(columns: Columns, name: str) -> Iterator[str]:
    """Messages about a column of classes."""
    cells = collections.Counter(columns.cells[name])
    for marker in MISSING:
        if marker not in columns.format.missing or marker in UNAMBIGUOUS_MARKERS:
            continue
        if marker in cells:
            hint = f"if it is a class, give not_missing=({marker!r},)"
            yield f"has {cells[marker]} cells {marker!r}, which count as missing; {hint}"
    labels, classes = encode_categories(columns, name)
    num_missing = int((labels < 0).sum())
    if len(classes) == 1 and num_missing > 0:
        yield f"has one class, {classes[0]!r}: its other {num_missing} cells are missing"
    if not isinstance(classes[0], str):
        return
    for group in look_alikes(classes):
        yield f"has the classes {', '.join(map(ascii, group))}, which differ in writing only"
    lower = {marker.lower() for marker in MISSING}
    symbols = [text for text in classes if not any(map(str.isalnum, text))]
    suspects = [*symbols] if len(symbols) == 1 < len(classes) else []
    suspects += [text for text in classes if text.lower() in lower]
    for text in dict.fromkeys(suspects):
        if text not in MISSING:
            yield f"has the class {text!r}; if it means missing, give missing=({text!r},)"
    exponents = list(filter(EXPONENT.fullmatch, classes))
    if exponents:
        yield f"has classes such as {exponents[0]!r}, which are names here and no numbers"


def look_alikes(classes: Iterable[str]) -> list[list[str]]:
    """Groups of names that look the same: they differ in case, spaces or leading zeros.

    Names that differ in Unicode compatibility forms or invisible characters also count.
    """
    groups = collections.defaultdict(list)
    for name in classes:
        text = unicodedata.normalize("NFKC", name).casefold()
        visible = "".join(
            c for c in text if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace()
        )
        groups[re.sub(r"^0+(?=\d)", "", " ".join(visible.split()))].append(name)
    return [group for group in groups.values() if len(group) > 1]
