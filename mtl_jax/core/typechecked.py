"""Type checking of dataclass fields against their annotations, at construction."""

import collections.abc
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean, require, short_repr

Setting = TypeVar("Setting", bound=type)

ELSEWHERE = ("parent",)  # The parent of a Flax module, set by Flax.


def typechecked(setting: Setting) -> Setting:
    """Class decorator that checks the fields of a dataclass against their type annotations.

    It refuses a class instead of an instance, a string instead of a number, True instead of an
    integer, a list instead of a tuple, NaN, and unknown fields. A field annotated with a protocol
    (`mtl_jax.core.protocols`) accepts instances of any class that has its members. Errors of
    `__post_init__` take precedence, since they are more specific; if a value of a wrong type
    makes it raise another exception, the type error is raised instead.

    Raises:
      BadInput: at construction, naming the field, the rule and the value.
    """
    if "__typechecked__" in vars(setting):
        return setting
    make: Callable[..., None] = setting.__init__
    fields = [field for field in fields_of(setting) if field.init]
    places = [field.name for field in fields if not field.kw_only]
    names = [field.name for field in fields]

    @functools.wraps(make)
    def __init__(self, *args, **kwargs):
        owner = type(self).__name__
        if len(args) > len(places):
            raise BadInput(
                f"{owner} has {len(places)} fields in order, not {len(args)}: {short_repr(args)}"
            )
        for name in kwargs.keys() - set(names):
            require(False, owner, name, f"is no field ({did_you_mean(name, names)})", kwargs[name])
        values = {**dict(zip(places, args, strict=False)), **kwargs}
        for field in fields:
            if field.name not in values and no_default(field):
                raise BadInput(f"{owner}.{field.name} must be given")
        try:
            make(self, *args, **kwargs)
        except BadInput:
            raise
        except Exception:
            check_fields(owner, setting, values)
            raise
        check_fields(owner, setting, values)

    for name, value in (("__init__", __init__), ("__typechecked__", True)):
        setattr(setting, name, value)
    return setting


def typecheck_exports(face: dict[str, Any]) -> None:
    """Applies `typechecked` to all dataclasses that a package exports; `face` is its `globals()`."""
    for member in list(face.values()):
        own = isinstance(member, type) and dataclasses.is_dataclass(member)
        if own and member.__module__.startswith("mtl_jax."):
            typechecked(member)


def fields_of(setting: type) -> tuple[dataclasses.Field, ...]:
    """The fields of a dataclass."""
    return dataclasses.fields(typing.cast(Any, setting))


def no_default(field: dataclasses.Field) -> bool:
    """Whether a field is required."""
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def check_fields(owner: str, setting: type, values: dict[str, Any]) -> None:
    """Requires values of the annotated types; defaults are always accepted."""
    for field in fields_of(setting):
        if field.name in ELSEWHERE or field.name not in values:
            continue
        value, kind = values[field.name], hints_of(setting)[field.name]
        if value is field.default or fits(value, kind):
            continue
        rule = f"must be {words(kind, value)}"
        if isinstance(value, type):
            rule += f", an instance such as {value.__name__}(...)"
        raise BadInput(f"{owner}.{field.name} {rule}, not {short_repr(value)}") from None


@functools.cache
def hints_of(setting: type) -> dict[str, Any]:
    """The type annotations of a class by field, resolved at first use."""
    return typing.get_type_hints(setting)


def checked_types(setting: type) -> dict[str, Any]:
    """The types of fields that `typechecked` has checked; {} for other classes."""
    return hints_of(setting) if "__typechecked__" in vars(setting) else {}


def fits(value: Any, kind: Any) -> bool:
    """Whether a value matches an annotation; annotations that cannot be checked accept all."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if is_union(kind):
        return any(fits(value, each) for each in inner)
    if origin is typing.Literal:
        return any(type(value) is type(each) and value == each for each in inner)
    if origin is tuple:
        return isinstance(value, tuple) and items_fit(value, inner)
    if origin is collections.abc.Mapping:
        return isinstance(value, collections.abc.Mapping) and all(
            fits(name, inner[0]) and fits(each, inner[1]) for name, each in value.items()
        )
    if origin is collections.abc.Callable or kind in (typing.Callable, collections.abc.Callable):
        # A class is accepted as a callable without arguments.
        return callable(value) and (not isinstance(value, type) or inner[:1] == ([],))
    if not isinstance(kind, type) or kind in (Any, object):
        return True
    return fits_class(value, kind)


def fits_class(value: Any, kind: type) -> bool:
    """Whether a value is an instance of a class, or has the members of a protocol."""
    if kind in (int, float):
        number = isinstance(value, int | kind) and not isinstance(value, bool)
        return number and (isinstance(value, int) or math.isfinite(value))
    if kind is np.ndarray:
        return isinstance(value, np.ndarray | jax.Array)
    if is_protocol(kind):
        return not isinstance(value, type) and isinstance(value, kind)
    return isinstance(value, kind)


def items_fit(value: tuple, inner: tuple) -> bool:
    """Whether the items of a tuple match their annotations."""
    if not inner:
        return True
    kinds = item_types(inner, len(value))
    return len(kinds) == len(value) and all(map(fits, value, kinds))


def item_types(inner: tuple, count: int) -> tuple:
    """The types of the items of a tuple, from the arguments of its annotation."""
    return inner[:1] * count if inner[-1] is ... else inner


def is_union(kind: Any) -> bool:
    """Whether an annotation is a union of types."""
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def is_protocol(kind: Any) -> bool:
    """Whether a class is a `typing.Protocol`."""
    return getattr(kind, "_is_protocol", False)


def words(kind: Any, value: Any = None) -> str:
    """Describes a type for an error message, as in "must be an integer or None"."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if is_union(kind):
        return " or ".join(words(each, value) for each in inner)
    if origin is typing.Literal:
        return f"one of {inner}"
    if origin is tuple and inner[-1] is ...:
        return f"a tuple, each item {words(inner[0])}"
    if origin is tuple:
        return f"a tuple ({', '.join(map(words, inner))})"
    if origin is collections.abc.Mapping:
        return f"a mapping from {words(inner[0])} to {words(inner[1])}"
    if origin is collections.abc.Callable:
        return "a function"
    type_words: dict[Any, str] = {
        int: "an integer",
        float: "a finite number",
        bool: "True or False",
        str: "a string",
    }
    type_words |= {types.NoneType: "None", np.ndarray: "an array"}
    name = getattr(kind, "__name__", str(kind))
    named = f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
    return type_words.get(kind, named + (lacking(kind, value) if is_protocol(kind) else ""))


def lacking(kind: type, value: Any) -> str:
    """Describes which members of a protocol a value lacks; "" for a class or None."""
    if value is None or isinstance(value, type):
        return ""
    members = [*vars(kind).get("__annotations__", ()), *vars(kind)]
    own = [name for name in members if not name.startswith("_") or name == "__call__"]
    missing = [name for name in dict.fromkeys(own) if not hasattr(value, name)]
    return f" (it lacks {', '.join(missing)})" if missing else ""
