"""Changes a run from the command line: `--set FIELD=VALUE`, typed and dotted."""

import ast
import dataclasses
import types
import typing
from typing import Any

from mtl_jax.checks import BadInput, near
from mtl_jax.run import Run


class Absent(BadInput):
    """This run has no such field; another of the experiment may have it."""


def edited(runs: tuple[Run, ...], changes: list[str]) -> tuple[Run, ...]:
    """Applies `FIELD=VALUE` changes to every run that has the field, and to its sources.

    Raises:
      BadInput: if a change is malformed, no run has the field, or the value is of a wrong
        type or outside its rule.
    """
    for change in changes:
        field, equals, text = change.partition("=")
        if not equals or not field:
            raise BadInput(f"--set takes FIELD=VALUE, not {change!r}")
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
    if len(wrongs) == len(runs):
        raise BadInput(f"--set {field}={text}: {wrongs[0]}")
    return tuple(results)


def with_sources(run: Run, field: str, text: str) -> Run:
    """One change on a run and, as far as they have the field, on the runs it starts from."""
    path = field.split(".")
    try:
        if run.source is None:
            return changed(run, path, text)
        try:
            source = with_sources(run.source, field, text)
        except Absent:
            source = run.source
        # Both at once: a run and its source must agree on trunk and seeds.
        return changed(run, path, text, source=source)
    except Absent:
        raise
    except BadInput as wrong:
        raise BadInput(f"--set {field}={text}: {wrong}") from None


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
    fields = {field.name for field in dataclasses.fields(item) if field.init} - {"parent"}
    if name not in fields:
        raise Absent(f"{type(item).__name__} has no field {name!r}: {near(name, fields)}")
    kind = typing.get_type_hints(type(item)).get(name)
    value = changed_value(getattr(item, name), kind, name, rest, text)
    return dataclasses.replace(item, **{name: value}, **others)


def changed_value(value: Any, kind: Any, name: str, rest: list[str], text: str) -> Any:
    """The new value of a field: further down, or read from the text."""
    return changed(value, rest, text) if rest else parsed(text, value, kind, name)


def place_of(items: tuple, name: str) -> int:
    """Where in a tuple: by number, or by the name that its items bear."""
    names = [getattr(item, "name", str(place)) for place, item in enumerate(items)]
    if name in names:
        return names.index(name)
    if name.isdigit() and int(name) < len(items):
        return int(name)
    raise Absent(f"nothing here is called {name!r}: {near(name, names)}")


def parsed(text: str, old: Any, kind: Any, name: str) -> Any:
    """Reads a value of the type of a field.

    Raises:
      BadInput: if the text is not of that type, or the type cannot be written on a line.
    """
    kinds = plain_kinds(kind) if kind is not None else {type(old)}
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and int not in kinds
        and float in kinds
    ):
        value = float(value)
    if str in kinds and not isinstance(value, str):
        value = text
    if type(value) not in kinds:
        if dataclasses.is_dataclass(old):
            inner = ", ".join(f"{name}.{field.name}" for field in dataclasses.fields(old))
            raise BadInput(f"{name} is {old!r}; set one of its fields: {inner}")
        wanted = " or ".join(sorted(k.__name__ if k is not type(None) else "None" for k in kinds))
        raise BadInput(f"{name} must be {wanted or 'set in the file'}, not {text!r}")
    return value


def plain_kinds(kind: Any) -> set[type]:
    """The types of a hint that a line can hold: numbers, texts, truths, None, tuples."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return set().union(*map(plain_kinds, typing.get_args(kind)))
    if origin is typing.Literal:
        return {type(choice) for choice in typing.get_args(kind)}
    if origin is tuple:
        return {tuple}
    return {kind} if kind in (int, float, bool, str, tuple, type(None)) else set()
