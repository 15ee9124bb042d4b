"""Warnings about ambiguous names of classes."""

import collections
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator

from mtl_jax.core.validation import DataWarning
from mtl_jax.data.files.columns import MISSING, NAN, Columns, encode_categories

# Markers that always mean missing; the others are words that may be names.
PLAIN_MARKS = {mark for mark in MISSING if NAN.fullmatch(mark)} | {"", "?"}
PADDED = re.compile(r"[+-]?0[0-9]+")
EXPONENT = re.compile(r"[0-9]+[eE][0-9]+")


def warn_of_classes(owner: object, columns: Columns, names: Iterable[str]) -> None:
    """Warns of ambiguities in the classes of some columns, one line each."""
    for name in names:
        for text in findings(columns, name):
            warnings.warn(
                f"{type(owner).__name__}: column {name!r} of {columns.places[0][0]} {text}",
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
                f"{type(owner).__name__}: column {name!r} of {columns.places[0][0]} {text}",
                DataWarning,
                stacklevel=2,
            )


def findings(columns: Columns, name: str) -> Iterator[str]:
    """Messages about a column of classes."""
    cells = collections.Counter(columns.cells[name])
    marks = columns.format.missing
    for mark in (mark for mark in MISSING if mark in marks and mark not in PLAIN_MARKS):
        if mark in cells:
            hint = f"if it is a class, give not_missing=({mark!r},)"
            yield f"has {cells[mark]} cells {mark!r}, which count as missing; {hint}"
    places, classes = encode_categories(columns, name)
    gaps = int((places < 0).sum())
    if len(classes) == 1 and gaps > 0:
        yield f"has one class, {classes[0]!r}: its other {gaps} cells are missing"
    if not isinstance(classes[0], str):
        return
    for group in look_alikes(classes):
        yield f"has the classes {', '.join(map(ascii, group))}, which differ in writing only"
    lower = {mark.lower() for mark in MISSING}
    wordless = [one for one in classes if not any(map(str.isalnum, one))]
    odd = wordless if len(wordless) == 1 < len(classes) else []
    for one in dict.fromkeys([*odd, *(one for one in classes if one.lower() in lower)]):
        if one not in MISSING:
            yield f"has the class {one!r}; if it means missing, give missing=({one!r},)"
    if any(map(EXPONENT.fullmatch, classes)):
        one = next(one for one in classes if EXPONENT.fullmatch(one))
        yield f"has classes such as {one!r}, which are names here and no numbers"


def look_alikes(classes: Iterable[str]) -> list[list[str]]:
    """Groups of names that look the same: they differ in case, spaces or leading zeros.

    Names that differ in Unicode compatibility forms or invisible characters also count.
    """
    groups = collections.defaultdict(list)
    for one in classes:
        text = unicodedata.normalize("NFKC", one).casefold()
        seen = "".join(
            c for c in text if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace()
        )
        groups[re.sub(r"^0+(?=\d)", "", " ".join(seen.split()))].append(one)
    return [group for group in groups.values() if len(group) > 1]
