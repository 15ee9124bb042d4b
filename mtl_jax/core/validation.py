"""Validation of settings, with errors that name the field, the rule and the value."""

import difflib
import importlib.util
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

LONGEST = 200  # Bytes of a name; with suffixes, a folder name may have 255.
DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789"),
}
# Tables, figures, the page, what trackers were sent, archived folders, and incomplete files.
WRITTEN = re.compile(
    r"table\.(md|tex|csv)|(effects|tuning)\.csv|report\.html|trackers\.json|.*\.(png|pdf|half|old(\.\d+)?)",
    re.IGNORECASE,
)


class BadInput(ValueError):
    """Invalid user input; the message is one line and states what is valid."""


class DataWarning(UserWarning):
    """A property of the data that affects how results should be read, in one line."""


def require(holds: bool, owner: Any, field: str, rule: str, value: object) -> None:
    """Raises `BadInput` unless `holds`.

    Args:
      holds: whether the value satisfies the rule.
      owner: the object that has the field; the message names its class. A string is used as is.
      field: name of the field.
      rule: the requirement, as in "must be at least 1".
      value: the given value.

    Raises:
      BadInput: with the owner, the field, the rule and the value.
    """
    if not holds:
        name = owner if isinstance(owner, str) else type(owner).__name__
        raise BadInput(f"{name}.{field} {rule}, not {short_repr(value)}")


def short_repr(value: object, most: int = 200) -> str:
    """The repr of a value in one line, truncated to `most` characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def require_number(owner: Any, **bounds: tuple[float, float]) -> None:
    """Requires fields with finite numbers, each in its closed interval `(low, high)`."""
    for field, (low, high) in bounds.items():
        value = getattr(owner, field)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number and math.isfinite(value), owner, field, "must be a finite number", value)
        require(low <= value <= high, owner, field, range_text(low, high), value)


def require_int(owner: Any, **least: int) -> None:
    """Requires fields with integers, each at least the given value."""
    for field, low in least.items():
        value = getattr(owner, field)
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        require(is_integer, owner, field, "must be an integer", value)
        require(value >= low, owner, field, f"must be at least {low}", value)


def require_name(owner: Any) -> None:
    """Requires a name that is a valid folder name on every system and has no glob characters.

    Raises:
      BadInput: naming the violated rule.
    """
    name = owner.name
    valid = isinstance(name, str) and name and not set(name) & set("/\\*?[]") and name[0] != "."
    rule = "must be a plain file name without * ? [ ]"
    require(bool(valid), owner, "name", rule, name)
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
    """Whether a value is a non-empty tuple of finite numbers."""
    return (
        isinstance(value, tuple)
        and len(value) > 0
        and all(isinstance(n, int | float) and not isinstance(n, bool) for n in value)
        and all(math.isfinite(n) for n in value)
    )


def require_widths(owner: Any, field: str) -> None:
    """Requires a non-empty tuple of positive integers."""
    value = getattr(owner, field)
    fine = isinstance(value, tuple) and value and all(type(w) is int and w >= 1 for w in value)
    require(bool(fine), owner, field, "must be a tuple of integers of at least 1", value)


def require_choice(owner: Any, **choices: tuple) -> None:
    """Requires each field to have one of the allowed values."""
    for field, allowed in choices.items():
        value = getattr(owner, field)
        require(value in allowed, owner, field, f"must be one of {allowed}", value)


def require_package(owner: Any, package: str, extra: str) -> None:
    """Requires an optional package, an import name that an extra of `mtl_jax` installs."""
    if importlib.util.find_spec(package) is None:
        name = type(owner).__name__
        raise BadInput(f"{name} needs the package {package}: pip install mtl_jax[{extra}]")


def regex_error(value: Any) -> str | None:
    """The error of an invalid regular expression; None if it is valid."""
    try:
        re.compile(value)
    except (re.error, TypeError) as error:
        return str(error)
    return None


def require_pattern(owner: Any, field: str, pattern: object) -> None:
    """Requires a valid regular expression; the error states the fault."""
    fault = regex_error(pattern)
    require(fault is None, owner, field, f"must be a regular expression ({fault})", pattern)


def range_text(low: float, high: float) -> str:
    """Describes a closed range for an error message."""
    if math.isinf(high):
        return f"must be at least {low}"
    return f"must lie between {low} and {high}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Suggests the closest matches among `names`, or lists the first of them."""
    names = sorted(names) or ["none"]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"there is {few(names, 12)}"


def few(names: Sequence[str], most: int = 3) -> str:
    """Lists the first of `names` and counts the others, so that messages stay short."""
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
