"""Command-line overrides of run fields: `--set FIELD=VALUE`, with types and dotted paths."""

import ast
import contextlib
import dataclasses
import types
import typing
from typing import Any

from mtl_jax.config.run import Run, map_dependencies
from mtl_jax.core.fingerprint import config_fields
from mtl_jax.core.validation import BadInput, did_you_mean


class NoSuchField(BadInput):
    """A run has no such field; another run of the experiment may have it."""


def apply_overrides(runs: tuple[Run, ...], changes: list[str]) -> tuple[Run, ...]:
    """Applies `FIELD=VALUE` overrides to every run with the field, and to its source runs.

    Raises:
      BadInput: if an override is malformed, no run has the field, or the value is of the wrong
        type or not allowed.
    """
    seen = set()
    for change in changes:
        field, equals, text = change.partition("=")
        if not equals or not field:
            raise BadInput(f"--set takes FIELD=VALUE, not {change!r}")
        if field in seen:
            raise BadInput(f"--set {field} is given twice")
        seen.add(field)
        runs = apply_override(runs, field, text)
    return runs


def apply_override(runs: tuple[Run, ...], field: str, text: str) -> tuple[Run, ...]:
    """Applies one override to all runs; runs without the field are unchanged if another has it."""
    results, wrongs = [], []
    for run in runs:
        try:
            results.append(with_sources(run, field, text))
        except NoSuchField as wrong:
            results.append(run)
            wrongs.append(wrong)
        except BadInput as wrong:
            raise BadInput(f"--set {field}={text}: {wrong}") from None
    if len(wrongs) == len(runs):
        raise BadInput(f"--set {field}={text}: {wrongs[0]}")
    return tuple(results)


def with_sources(run: Run, field: str, text: str) -> Run:
    """Applies one override to a run and to the runs it depends on, where they have the field."""
    if not isinstance(run, Run):
        return replace_at(run, field.split("."), text)
    has = False

    def follow(other: Run) -> Run:
        nonlocal has
        with contextlib.suppress(NoSuchField):
            other, has = with_sources(other, field, text), True
        return other

    others = map_dependencies(run, follow)
    try:
        # Both together, since a run and its source must agree on trunk and seeds.
        return replace_at(run, field.split("."), text, **others)
    except NoSuchField:
        if not has:
            raise
        return run.replace(**others)


def replace_at(item: Any, path: list[str], text: str, **others: Any) -> Any:
    """A copy of a setting with one nested field replaced."""
    name, *rest = path
    if isinstance(item, tuple):
        place = place_of(item, name)
        return (
            *item[:place],
            changed_value(item[place], None, name, rest, text),
            *item[place + 1 :],
        )
    if not dataclasses.is_dataclass(item):
        raise NoSuchField(f"there is nothing below {item!r} to set {name!r} of")
    fields = config_fields(item)
    if name not in fields:
        raise NoSuchField(
            f"{type(item).__name__} has no field {name!r}: {did_you_mean(name, fields)}"
        )
    kind = typing.get_type_hints(type(item)).get(name)
    old = others.get(name, getattr(item, name))
    value = changed_value(old, kind, name, rest, text)
    return dataclasses.replace(item, **{**others, name: value})


def changed_value(value: Any, kind: Any, name: str, rest: list[str], text: str) -> Any:
    """The new value of a field: replaced at a deeper level, or parsed from the text."""
    return replace_at(value, rest, text) if rest else parsed(text, value, kind, name)


def place_of(items: tuple, name: str) -> int:
    """The index of a tuple's item, by position or by the name of the item."""
    names = [getattr(item, "name", str(place)) for place, item in enumerate(items)]
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(items):
        return int(name)
    raise NoSuchField(f"nothing here is called {name!r}: {did_you_mean(name, names)}")


def parsed(text: str, old: Any, kind: Any, name: str) -> Any:
    """Parses a value of the type of a field.

    Raises:
      BadInput: if the text is not of that type, or the type cannot be given on the command line.
    """
    kind = type(old) if kind is None else kind
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    for each in (value, text):
        with contextlib.suppress(TypeError, OverflowError):
            return coerce(each, kind)
    if dataclasses.is_dataclass(old):
        inner = ", ".join(f"{name}.{field}" for field in config_fields(old)) or "it has none"
        raise BadInput(f"{name} is {old!r}; set one of its fields: {inner}")
    wanted = " or ".join(sorted(plain_kinds(kind)))
    raise BadInput(f"{name} must be {wanted or 'set in the file'}, not {text!r}")


def plain_kinds(kind: Any) -> set[str]:
    """The types of a hint that a command line can give: int, float, str, bool, None, tuples."""
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


def coerce(value: Any, kind: Any) -> Any:
    """Converts a parsed value to the type of a hint, recursively; an int is also a float.

    Raises:
      TypeError: if the value is of another type.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for each in inner:
            with contextlib.suppress(TypeError):
                return coerce(value, each)
    elif origin is tuple and type(value) is tuple:
        kinds = inner[:1] * len(value) if inner[-1] is ... else inner
        if len(kinds) == len(value):
            return tuple(map(coerce, value, kinds))
    elif kind is float and type(value) is int:
        return float(value)
    elif (origin is typing.Literal and value in inner) or (
        kind in (int, float, bool, str, types.NoneType) and type(value) is kind
    ):
        return value
    raise TypeError(f"{value!r} is not of type {kind}")
