"""What every numeric or text field of every setting takes, found by trying values.

`python -m tests.laws.ranges` writes what it finds to `ranges.txt`, beside this file.
"""

import dataclasses
import functools
import pathlib
import types
import typing
import warnings

from mtl_jax.core.validation import BadInput
from tests.laws.test_settings import SETTINGS, made

TABLE = pathlib.Path(__file__).with_name("ranges.txt")
WORDS = ("", "§", "labelled", "strong", "weak")
# Both ends of a range are bisected from here.
LADDER = (-1e9, -100.0, -1.0, -1e-6, 0.0, 1e-6, 0.5, 1.0, 2.0, 3.0, 8.0, 16.0, 100.0, 1e9)


def number_of(annotation):
    """How a number is put in a field: its type, and whether it stands in a tuple; or None."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        found = [kind for kind in map(number_of, inner) if kind]
        return found[0] if found else None
    if origin is tuple and inner[0] in (int, float):
        return inner[0], 1 if inner[-1] is ... else len(inner)
    return (annotation, 0) if annotation in (int, float) else None


def takes_text(annotation):
    """Whether a field may be a text."""
    return str in (annotation, *typing.get_args(annotation))


def refusal(setting, fine, field, value):
    """What a setting says of a value of one field; None if it takes the value."""
    try:
        setting(**{**fine, field: value})
    except BadInput as wrong:
        return str(wrong)
    return None


def bisected(takes, inside, outside, whole):
    """The end of a range between a value that is taken and one that is not, and if it is taken."""
    while abs(outside - inside) > (1 if whole else 1e-9 * max(1.0, abs(inside))):
        middle = (inside + outside) // 2 if whole else (inside + outside) / 2
        inside, outside = (middle, outside) if takes(middle) else (inside, middle)
    end = inside if whole else float(f"{inside:.6g}") if abs(inside) > 1e-8 else 0.0
    return end, takes(end)


def range_of(kind, length, refuses):
    """The range of one field as text, as in `[0, 1)`."""
    whole = kind is int

    def takes(value):
        value = kind(value)
        return not refuses((value,) * length if length else value)

    ladder = sorted({int(v) for v in LADDER} if whole else set(LADDER))
    fits = [value for value in ladder if takes(value)]
    if not fits:
        return "as other fields say"
    low, high = "(-inf", "inf)"
    if fits[0] != ladder[0]:
        end, closed = bisected(takes, fits[0], ladder[ladder.index(fits[0]) - 1], whole)
        low = f"{'[' if closed else '('}{end:g}"
    if fits[-1] != ladder[-1]:
        end, closed = bisected(takes, fits[-1], ladder[ladder.index(fits[-1]) + 1], whole)
        high = f"{end:g}{']' if closed else ')'}"
    return f"{low}, {high}" + (" or ()" if length and not refuses(()) else "")


def numbers_of(setting):
    """Names of the fields of a setting that may be a number."""
    hints = typing.get_type_hints(setting)
    return [f.name for f in dataclasses.fields(setting) if f.init and number_of(hints[f.name])]


def ranges_of(setting):
    """What the fields of a setting take, by name; {} if this test can make none."""
    hints, fine, found = typing.get_type_hints(setting), made(setting), {}
    names = [field.name for field in dataclasses.fields(setting) if field.init]
    for name in names if fine is not None else ():
        refuses = functools.partial(refusal, setting, fine, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if number := number_of(hints[name]):
                found[name] = range_of(*number, refuses)
            elif takes_text(hints[name]):
                found[name] = "of " + repr([word for word in WORDS if not refuses(word)])
    return found


def ranges():
    """What the fields of all settings take, by name of setting and field."""
    return {
        f"{name.removeprefix('mtl_jax.')}.{field}": text
        for name, setting in SETTINGS.items()
        for field, text in ranges_of(setting).items()
    }


if __name__ == "__main__":
    TABLE.write_text("".join(f"{field} {text}\n" for field, text in sorted(ranges().items())))
