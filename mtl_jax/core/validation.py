"""Refuses bad settings where they are made, naming the field, the rule and the value."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence

LONGEST = 200  # Bytes of a name; with the endings that a launch adds a folder may have 255.
DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789"),
}
# Tables, figures, folders set aside, and files that were not written to their end.
WRITTEN = re.compile(r"table\.(md|tex|csv)|effects\.csv|.*\.(png|half|old(\.\d+)?)", re.IGNORECASE)


class BadInput(ValueError):
    """What a user gave is wrong; its text is one line and says what to give instead."""


class DataWarning(UserWarning):
    """What a reader of the numbers should know of the data; its text is one line."""


def require(holds: bool, owner: object, field: str, rule: str, value: object) -> None:
    """Raises `BadInput` unless `holds`.

    Args:
      holds: whether the rule is kept.
      owner: the setting that has the field; its class is named in the text.
      field: name of the field.
      rule: what the value must be, as in "must be at least 1".
      value: what was given.

    Raises:
      BadInput: with the owner, the field, the rule and the value.
    """
    if not holds:
        name = owner if isinstance(owner, str) else type(owner).__name__
        raise BadInput(f"{name}.{field} {rule}, not {shown(value)}")


def shown(value: object, most: int = 200) -> str:
    """A value as it prints, in one line that is not too long to read."""
    text = " ".join(repr(value).split())
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def require_number(owner: object, **bounds: tuple[float, float]) -> None:
    """Requires finite numbers of fields, each between its `(low, high)`, ends included."""
    for field, (low, high) in bounds.items():
        value = getattr(owner, field)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number and math.isfinite(value), owner, field, "must be a finite number", value)
        require(low <= value <= high, owner, field, range_text(low, high), value)


def require_count(owner: object, **least: int) -> None:
    """Requires whole numbers of fields, each at least as large as given."""
    for field, low in least.items():
        value = getattr(owner, field)
        whole = isinstance(value, int) and not isinstance(value, bool)
        require(whole, owner, field, "must be a whole number", value)
        require(value >= low, owner, field, f"must be at least {low}", value)


def require_name(owner: object) -> None:
    """Requires a name that a folder can bear on every system, and that no pattern can mean.

    Raises:
      BadInput: naming the rule that a name breaks.
    """
    name = owner.name
    plain = isinstance(name, str) and name and not set(name) & set("/\\*?[]") and name[0] != "."
    rule = "must be a plain file name without * ? [ ]"
    require(bool(plain), owner, "name", rule, name)
    rule = "must be of printable characters"
    require(name.isprintable(), owner, "name", rule, name)
    fits = name[0] != " " and name[-1] not in " ."
    rule = "must have no space at its ends and no dot at its end, which some systems drop"
    require(fits, owner, "name", rule, name)
    size = len(name.encode())
    rule = f"must be a folder's name of at most {LONGEST} bytes (this has {size})"
    require(size <= LONGEST, owner, "name", rule, name)
    rule = "must not be a name that Windows keeps for a device"
    require(name.partition(".")[0].strip().lower() not in DEVICES, owner, "name", rule, name)
    rule = "must not be the name of a file that a launch writes itself"
    require(not WRITTEN.fullmatch(name), owner, "name", rule, name)


def are_numbers(value: object) -> bool:
    """Whether a value is a tuple of finite numbers, one or more."""
    return (
        isinstance(value, tuple)
        and len(value) > 0
        and all(isinstance(n, int | float) and not isinstance(n, bool) for n in value)
        and all(math.isfinite(n) for n in value)
    )


def require_widths(owner: object, field: str) -> None:
    """Requires a tuple of whole numbers of at least 1, and at least one of them."""
    value = getattr(owner, field)
    fine = isinstance(value, tuple) and value and all(type(w) is int and w >= 1 for w in value)
    require(bool(fine), owner, field, "must be a tuple of whole numbers of at least 1", value)


def require_choice(owner: object, **choices: tuple) -> None:
    """Requires fields that hold one of some values each."""
    for field, allowed in choices.items():
        value = getattr(owner, field)
        require(value in allowed, owner, field, f"must be one of {allowed}", value)


def pattern_fault(value: object) -> str | None:
    """What keeps a value from being a regular expression; None if nothing does."""
    try:
        re.compile(value)
    except (re.error, TypeError) as wrong:
        return str(wrong)
    return None


def require_pattern(owner: object, field: str, pattern: object) -> None:
    """Requires a regular expression, and says what is wrong with another text."""
    fault = pattern_fault(pattern)
    require(fault is None, owner, field, f"must be a regular expression ({fault})", pattern)


def range_text(low: float, high: float) -> str:
    """Says a closed range in words."""
    if math.isinf(high):
        return f"must be at least {low}"
    return f"must lie between {low} and {high}"


def near(name: str, names: Iterable[str]) -> str:
    """Names the likely meant ones among `names`, or the first of them."""
    names = sorted(names) or ["none"]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"there is {few(names, 12)}"


def few(names: Sequence[str], most: int = 3) -> str:
    """Names the first of `names` and counts the others, so that a line stays one."""
    said = ", ".join(names[:most])
    return said if len(names) <= most else f"{said} and {len(names) - most} more"
