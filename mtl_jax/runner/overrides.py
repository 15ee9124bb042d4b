"""Changes a run from the command line: `--set FIELD=VALUE`, typed and dotted."""

import ast
import contextlib
import dataclasses
import types
import typing
from typing import Any

from mtl_jax.config.run import Run, with_needed
from mtl_jax.core.fingerprint import settings
from mtl_jax.core.validation import BadInput, near


class Absent(BadInput):
    """This run has no such field; another of the experiment may have it."""


def edited(runs: tuple[Run, ...], changes: list[str]) -> tuple[Run, ...]:
    """Applies `FIELD=VALUE` changes to every run that has the field, and to its sources.

    Raises:
      BadInput: if a change is malformed, no run has the field, or the value is of a wrong
        type or outside its rule.
    """
    seen = set()
    for change in changes:
        field, equals, text = change.partition("=")
        if not equals or not field:
            raise BadInput(f"--set takes FIELD=VALUE, not {change!r}")
        if field in seen:
            raise BadInput(f"--set {field} is given twice")
        seen.add(field)
        runs = applied(runs, field, text)
    return runs


def applied(runs: tuple[Run, ...], field: str, text: str) -> tuple[Run, ...]:
    """One change on all runs; a run without the field stays as it is if another has it."""
    results, wrongs = [], []
    for run in runs:
        try:
            results.append(with_sources(run, field, text))
        except Absent as wrong:
            results.append(run)
            wrongs.append(wrong)
        except BadInput as wrong:
            raise BadInput(f"--set {field}={text}: {wrong}") from None
    if len(wrongs) == len(runs):
        raise BadInput(f"--set {field}={text}: {wrongs[0]}")
    return tuple(results)


def with_sources(run: Run, field: str, text: str) -> Run:
    """One change on a run and, as far as they have the field, on the runs it starts from."""
    if not hasattr(run, "source"):
        return changed(run, field.split("."), text)
    has = False

    def follow(other: Run) -> Run:
        nonlocal has
        with contextlib.suppress(Absent):
            other, has = with_sources(other, field, text), True
        return other

    others = with_needed(run, follow)
    try:
        # Both at once: a run and its source must agree on trunk and seeds.
        return changed(run, field.split("."), text, **others)
    except Absent:
        if not has:
            raise
        return run.but(**others)


def changed(item: Any, path: list[str], text: str, **others: Any) -> Any:
    """A copy of a setting with one field, some levels down, changed."""
    name, *rest = path
    if isinstance(item, tuple):
        place = place_of(item, name)
        return (
            *item[:place],
            changed_value(item[place], None, name, rest, text),
            *item[place + 1 :],
        )
    if not dataclasses.is_dataclass(item):
        raise Absent(f"there is nothing below {item!r} to set {name!r} of")
    fields = settings(item)
    if name not in fields:
        raise Absent(f"{type(item).__name__} has no field {name!r}: {near(name, fields)}")
    kind = typing.get_type_hints(type(item)).get(name)
    value = changed_value(getattr(item, name), kind, name, rest, text)
    return dataclasses.replace(item, **{**others, name: value})


def changed_value(value: Any, kind: Any, name: str, rest: list[str], text: str) -> Any:
    """The new value of a field: further down, or read from the text."""
    return changed(value, rest, text) if rest else parsed(text, value, kind, name)


def place_of(items: tuple, name: str) -> int:
    """Where in a tuple: by number, or by the name that its items bear."""
    names = [getattr(item, "name", str(place)) for place, item in enumerate(items)]
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(items):
        return int(name)
    raise Absent(f"nothing here is called {name!r}: {near(name, names)}")


def parsed(text: str, old: Any, kind: Any, name: str) -> Any:
    """Reads a value of the type of a field.

    Raises:
      BadInput: if the text is not of that type, or the type cannot be written on a line.
    """
    kind = type(old) if kind is None else kind
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    for each in (value, text):
        with contextlib.suppress(TypeError, OverflowError):
            return cast(each, kind)
    if dataclasses.is_dataclass(old):
        inner = ", ".join(f"{name}.{field}" for field in settings(old)) or "it has none"
        raise BadInput(f"{name} is {old!r}; set one of its fields: {inner}")
    wanted = " or ".join(sorted(plain_kinds(kind)))
    raise BadInput(f"{name} must be {wanted or 'set in the file'}, not {text!r}")


def plain_kinds(kind: Any) -> set[str]:
    """The types of a hint that a line can hold: numbers, texts, truths, None, tuples of them."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return set().union(*map(plain_kinds, inner))
    if origin is typing.Literal:
        return set(map(repr, inner))
    if origin is tuple:
        return {str(kind)} if all(e is ... or plain_kinds(e) for e in inner) else set()
    if kind is type(None):
        return {"None"}
    return {kind.__name__} if kind in (int, float, bool, str) else set()


def cast(value: Any, kind: Any) -> Any:
    """A value read from a line as the type of a hint, all the way down; an int is a float too.

    Raises:
      TypeError: if it is of another type.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for each in inner:
            with contextlib.suppress(TypeError):
                return cast(value, each)
    elif origin is tuple and type(value) is tuple:
        kinds = inner[:1] * len(value) if inner[-1] is ... else inner
        if len(kinds) == len(value):
            return tuple(map(cast, value, kinds))
    elif kind is float and type(value) is int:
        return float(value)
    elif (origin is typing.Literal and value in inner) or (
        kind in (int, float, bool, str, types.NoneType) and type(value) is kind
    ):
        return value
    raise TypeError(f"{value!r} is not of type {kind}")
