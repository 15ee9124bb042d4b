"""Command-line overrides of run fields: `--set FIELD=VALUE`, with types and dotted paths."""

import ast
import contextlib
import dataclasses
import functools
import types
import typing
from typing import Any, TypeVar

from mtl_jax.config.replace import NoSuchField, replace_at
from mtl_jax.config.run import Run, map_dependencies
from mtl_jax.config.toy import ToyRun
from mtl_jax.core.fingerprint import config_fields
from mtl_jax.core.typechecked import is_union, item_types
from mtl_jax.core.validation import BadInput

AnyRun = TypeVar("AnyRun", bound=Run | ToyRun)


def apply_overrides(runs: tuple[AnyRun, ...], changes: list[str]) -> tuple[AnyRun, ...]:
    """Applies `FIELD=VALUE` overrides to every run with the field, and to its source runs.

    Raises:
      BadInput: if an override is malformed, no run has the field, or the value is of the wrong
        type or not allowed.
    """
    fields = set()
    for change in changes:
        field, equals, text = change.partition("=")
        if not equals or not field:
            raise BadInput(f"--set takes FIELD=VALUE, not {change!r}")
        if field in fields:
            raise BadInput(f"--set {field} is given twice")
        fields.add(field)
        runs = apply_override(runs, field, text)
    return runs


def apply_override(runs: tuple[AnyRun, ...], field: str, text: str) -> tuple[AnyRun, ...]:
    """Applies one override to all runs; runs without the field are unchanged if another has it."""
    results, errors = [], []
    for run in runs:
        try:
            results.append(with_sources(run, field, text))
        except NoSuchField as error:
            results.append(run)
            errors.append(error)
        except BadInput as error:
            raise BadInput(f"--set {field}={text}: {error}") from None
    if len(errors) == len(runs):
        raise BadInput(f"--set {field}={text}: {errors[0] if errors else 'there is no run'}")
    return tuple(results)


def with_sources(run: AnyRun, field: str, text: str) -> AnyRun:
    """Applies one override to a run and to the runs it depends on, where they have the field."""
    parse = functools.partial(parse_value, text)
    if not isinstance(run, Run):
        return replace_at(run, field.split("."), parse)
    source_has_field = False

    def override(source: Run) -> Run:
        nonlocal source_has_field
        with contextlib.suppress(NoSuchField):
            source, source_has_field = with_sources(source, field, text), True
        return source

    dependencies = map_dependencies(run, override)
    try:
        # Both together, since a run and its source must agree on trunk and seeds.
        return replace_at(run, field.split("."), parse, **dependencies)
    except NoSuchField:
        if not source_has_field:
            raise
        return dataclasses.replace(run, **dependencies)


def parse_value(text: str, old: Any, hint: Any, name: str) -> Any:
    """Parses a value of the type of a field.

    Raises:
      BadInput: if the text is not of that type, or the type cannot be given on the command line.
    """
    hint = type(old) if hint is None else hint
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    for candidate in (value, text):
        with contextlib.suppress(TypeError, OverflowError):
            return coerce(candidate, hint)
    if dataclasses.is_dataclass(old):
        fields = ", ".join(f"{name}.{field}" for field in config_fields(old)) or "it has none"
        raise BadInput(f"{name} is {old!r}; set one of its fields: {fields}")
    expected = " or ".join(sorted(literal_types(hint)))
    raise BadInput(f"{name} must be {expected or 'set in the file'}, not {text!r}")


def literal_types(hint: Any) -> set[str]:
    """The types of a hint that a command line can give: int, float, str, bool, None, tuples."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_union(hint):
        return set().union(*map(literal_types, args))
    if origin is typing.Literal:
        return set(map(repr, args))
    if origin is tuple:
        return {str(hint)} if all(arg is ... or literal_types(arg) for arg in args) else set()
    if hint is type(None):
        return {"None"}
    return {hint.__name__} if hint in (int, float, bool, str) else set()


def coerce(value: Any, hint: Any) -> Any:
    """Converts a parsed value to the type of a hint, recursively; an int is also a float.

    Raises:
      TypeError: if the value is of another type.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_union(hint):
        for arg in args:
            with contextlib.suppress(TypeError):
                return coerce(value, arg)
    elif origin is tuple and type(value) is tuple:
        hints = item_types(args, len(value))
        if len(hints) == len(value):
            return tuple(map(coerce, value, hints))
    elif hint is float and type(value) is int:
        return float(value)
    elif (origin is typing.Literal and value in args) or (
        hint in (int, float, bool, str, types.NoneType) and type(value) is hint
    ):
        return value
    raise TypeError(f"{value!r} is not of type {hint}")
