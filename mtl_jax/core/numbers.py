"""The numbers in a setting: found, compared and replaced, so that settings can share a program."""

import dataclasses
import functools
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from mtl_jax.core.fingerprint import config_fields, to_source
from mtl_jax.core.function_config import FunctionConfig
from mtl_jax.core.typechecked import checked_types, is_union, item_types

Path = tuple[str, ...]  # Fields, positions in tuples and keywords of partials, from the outside.


def numbers_in(setting: Any, opaque: tuple[type, ...] = ()) -> dict[Path, float]:
    """The floats of a setting by path: of dataclasses, tuples and keywords of functions.

    Integers count where a class of the package declares floats, as in `Adam(1e-3, weight_decay=0)`.

    Args:
      setting: the setting.
      opaque: classes of settings that are not looked into.
    """
    return {path: value for path, value in leaves_of(setting, opaque) if type(value) is float}


def leaves_of(
    setting: Any, opaque: tuple[type, ...], declared: Any = None
) -> Iterator[tuple[Path, Any]]:
    """All leaves of a setting with their paths; `declared` is the type of its field."""
    children = {} if isinstance(setting, opaque) else children_of(setting)
    if not children:
        yield (), float(setting) if is_float(setting, declared) else setting
    types_of_children = declared_types(setting, declared)
    for name, child in children.items():
        for path, leaf in leaves_of(child, opaque, types_of_children.get(name)):
            yield (name, *path), leaf


def is_float(value: Any, declared: Any) -> bool:
    """Whether a value is an integer in the place of a float."""
    options = options_of(declared)
    return type(value) is int and float in options and int not in options


def declared_types(setting: Any, declared: Any) -> dict[str, Any]:
    """The types of what a setting directly holds, as far as they are declared."""
    if type(setting) is not tuple:
        return checked_types(type(setting))
    items = [typing.get_args(o) for o in options_of(declared) if typing.get_origin(o) is tuple]
    kinds = item_types(items[0], len(setting)) if items and items[0] else ()
    return {str(place): kind for place, kind in enumerate(kinds)}


def options_of(declared: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    return typing.get_args(declared) if is_union(declared) else (declared,)


def children_of(setting: Any) -> dict[str, Any]:
    """What a setting directly holds, by name or position; {} for a leaf."""
    if type(setting) is tuple:
        return {str(place): item for place, item in enumerate(setting)}
    if isinstance(setting, functools.partial):
        return setting.keywords
    if isinstance(setting, FunctionConfig):
        return dict(setting.settings)
    if dataclasses.is_dataclass(setting) and not isinstance(setting, type):
        return {name: getattr(setting, name) for name in config_fields(setting)}
    return {}


def with_numbers(setting: Any, numbers: Mapping[Path, Any]) -> Any:
    """A copy of a setting with other values, such as tracers, in the places of some numbers.

    The copy's classes do not check them: it is for code that computes with the numbers.
    """
    if () in numbers:
        return numbers[()]
    by_child: dict[str, dict[Path, Any]] = {}
    for (name, *rest), value in numbers.items():
        by_child.setdefault(name, {})[tuple(rest)] = value
    children = children_of(setting)
    changed = {name: with_numbers(children[name], own) for name, own in by_child.items()}
    if type(setting) is tuple:
        return tuple({**children, **changed}.values())
    if isinstance(setting, functools.partial):
        return functools.partial(setting.func, *setting.args, **{**children, **changed})
    copy = object.__new__(type(setting))
    if isinstance(setting, FunctionConfig):
        settings = tuple({**children, **changed}.items())
        vars(copy).update(function=setting.function, settings=settings)
        return copy
    for field in dataclasses.fields(setting):
        value = changed.get(field.name, getattr(setting, field.name))
        object.__setattr__(copy, field.name, value)
    return copy


def structure(setting: Any, opaque: tuple[type, ...] = ()) -> str:
    """The canonical text of a setting without its numbers: equal if two differ in numbers only."""
    blank = dict.fromkeys(numbers_in(setting, opaque), "number")
    return to_source(with_numbers(setting, blank))
