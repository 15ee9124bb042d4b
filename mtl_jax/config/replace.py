"""Copies of settings with some fields changed."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from mtl_jax.core.fingerprint import config_fields
from mtl_jax.core.function_config import FunctionConfig
from mtl_jax.core.validation import did_you_mean, require

Setting = TypeVar("Setting")


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
