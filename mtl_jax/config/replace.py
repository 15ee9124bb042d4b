"""Copies of settings with some fields changed."""

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar, cast

from mtl_jax.core.fingerprint import config_fields
from mtl_jax.core.function_config import FunctionConfig
from mtl_jax.core.validation import BadInput, did_you_mean, require

Setting = TypeVar("Setting")


class NoSuchField(BadInput):
    """A setting has no such field."""


class Replaceable:
    """Base class of the settings of an experiment file, which differ by a few fields."""

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some fields changed.

        A mapping changes fields of an inner setting: `run.replace(labels={"partial": True})`.

        Raises:
          BadInput: for an unknown field, or a value that is not allowed.
        """
        return checked_replace(self, changes)


class RunGroup(Replaceable):
    """Base class of the groups of a run's fields."""


def checked_replace(setting: Setting, changes: Mapping[str, Any]) -> Setting:
    """A copy of a setting with fields changed.

    Args:
      setting: a dataclass.
      changes: new values by field. A mapping for a field that holds a setting has the changes of
        that setting.

    Raises:
      BadInput: for an unknown field, with similar names.
    """
    names = field_names(setting)
    for name in (each for each in changes if each not in names):
        rule = f"is no field ({similar(setting, str(name))})"
        require(False, setting, str(name), rule, changes[name])
    values = {
        name: replaced_value(getattr(setting, name), value) for name, value in changes.items()
    }
    return dataclasses.replace(cast(Any, setting), **values)


def replaced_value(old: Any, value: Any) -> Any:
    """The new value of a field, which for a mapping is the old setting with changes."""
    if isinstance(value, Mapping) and isinstance(old, FunctionConfig):
        return old.replace(**value)
    inner = isinstance(value, Mapping) and dataclasses.is_dataclass(old)
    return checked_replace(old, value) if inner else value


def similar(setting: Any, name: str) -> str:
    """Suggests similar names, or the inner setting that has a field of this name."""
    group = holder_of(setting, name)
    if group is not None:
        return f"it is one of {group}: {group}={{{name!r}: ...}}"
    return did_you_mean(name, field_names(setting))


def holder_of(setting: Any, name: str) -> str | None:
    """The field that holds a setting with a field of this name; None if there is none."""
    inner = {field: getattr(setting, field) for field in config_fields(setting)}
    settings = {field: value for field, value in inner.items() if dataclasses.is_dataclass(value)}
    return next((field for field, value in settings.items() if name in config_fields(value)), None)


def field_names(setting: Any) -> list[str]:
    """The names of a dataclass's fields."""
    return [field.name for field in dataclasses.fields(setting)]


def replace_at(
    item: Any, path: Sequence[str], new: Callable[[Any, Any, str], Any], **changes: Any
) -> Any:
    """A copy of a setting with one nested field replaced.

    Args:
      item: a dataclass, or a tuple, whose items have a name or a position.
      path: names of fields from the outside, at least one.
      new: makes the new value of the old one, the field's type and its name.
      changes: new values of other fields of `item`.

    Raises:
      NoSuchField: if there is no such field, with similar names.
    """
    name, *rest = path
    if isinstance(item, tuple):
        index = index_of(item, name)
        value = new_value(item[index], None, name, rest, new)
        return (*item[:index], value, *item[index + 1 :])
    if isinstance(item, FunctionConfig):
        settings = dict(item.settings)
        if name not in settings:
            raise NoSuchField(f"{item!r} sets no {name!r}: {did_you_mean(name, settings)}")
        return item.replace(**{name: new_value(settings[name], None, name, rest, new)})
    if not dataclasses.is_dataclass(item):
        raise NoSuchField(f"there is nothing below {item!r} to set {name!r} of")
    fields = config_fields(item)
    if name not in fields:
        group = holder_of(item, name)
        hint = did_you_mean(name, fields) if group is None else f"it is {group}.{name}"
        raise NoSuchField(f"{type(item).__name__} has no field {name!r}: {hint}")
    hint = typing.get_type_hints(type(item)).get(name)
    old = changes.get(name, getattr(item, name))
    value = new_value(old, hint, name, rest, new)
    return dataclasses.replace(cast(Any, item), **{**changes, name: value})


def new_value(
    old: Any, hint: Any, name: str, rest: Sequence[str], new: Callable[[Any, Any, str], Any]
) -> Any:
    """The new value of a field, replaced at a deeper level if the path goes on."""
    if not rest:
        return new(old, hint, name)
    return replace_at(default_of(hint) if old is None else old, rest, new)


def default_of(hint: Any) -> Any:
    """The setting without arguments, if a field may hold one class of settings or None; or None."""
    kinds = [kind for kind in typing.get_args(hint) if dataclasses.is_dataclass(kind)]
    fields = dataclasses.fields(kinds[0]) if len(kinds) == 1 else ()
    missing = dataclasses.MISSING
    has_defaults = all({f.default, f.default_factory} != {missing} for f in fields)
    return kinds[0]() if fields and has_defaults else None


def positions(item: Any, path: Sequence[str]) -> list[str]:
    """A path of fields in which items of tuples are given by position.

    Raises:
      NoSuchField: if there is no such item.
    """
    if not path:
        return []
    name, *rest = path
    if isinstance(item, tuple):
        index = index_of(item, name)
        return [str(index), *positions(item[index], rest)]
    return [name, *positions(getattr(item, name, None), rest)]


def index_of(items: tuple, name: str) -> int:
    """The index of a tuple's item, by position or by the name of the item."""
    names = [getattr(item, "name", str(index)) for index, item in enumerate(items)]
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(items):
        return int(name)
    raise NoSuchField(f"nothing here is called {name!r}: {did_you_mean(name, names)}")
