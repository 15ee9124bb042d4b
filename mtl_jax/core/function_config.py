"""A function of any package with its keyword arguments, as a setting."""

import dataclasses
import functools
import inspect
import math
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Self

import jax

from mtl_jax.core.optimizer import Optimizer, Schedule
from mtl_jax.core.validation import BadInput, did_you_mean, require


class FunctionConfig:
    """A named function and keyword arguments for it, immutable, hashable and comparable.

    `repr` is a Python expression, with functions by the module that a user imports them from:
    `Optax(optax.contrib.muon, learning_rate=0.02)`. A `functools.partial` counts as its function
    with its keywords.

    Args:
      function: a function at module level.
      **settings: its arguments: finite numbers, strings, None, schedules, optimizers, functions at
        module level, and tuples of these.

    Raises:
      BadInput: for another kind of function or value, an argument that the function does not
        have, or a missing one.
    """

    function: Callable[..., Any]
    settings: tuple[tuple[str, Any], ...]  # Sorted by name.
    own: ClassVar[tuple[str, ...]] = ()  # Settings that are not arguments of the function.

    def __init__(self, function: Callable[..., Any], /, **settings: Any):
        while isinstance(function, functools.partial) and not function.args:
            function, settings = function.func, function.keywords | settings
        rule = "must be a function at module level"
        require(is_named(function), self, "function", rule, function)
        for name, value in settings.items():
            rule = "must be a finite number, a string, None, a schedule, an optimizer, a function "
            require(is_plain(value), self, name, rule + "at module level, or a tuple", value)
        vars(self).update(function=function, settings=tuple(sorted(settings.items())))
        self.check_names()

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of the function."""
        return {name: value for name, value in self.settings if name not in self.own}

    def call(self, steps: int) -> Any:
        """Calls the function, with schedules and optimizers built for a run of `steps` steps."""
        arguments = {name: built(value, steps) for name, value in self.arguments.items()}
        with jax.numpy_dtype_promotion("standard"):  # Optax relies on it.
            return self.function(**arguments)

    def check_names(self) -> None:
        """Requires that the function takes the settings, and needs no others."""
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except ValueError:  # Some built-in functions have none.
            return
        name, given = public_name(self.function), self.arguments
        own = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        for each in given.keys() - set(own) if not takes_any else ():
            rule = f"is no argument of {name} ({did_you_mean(each, own)})"
            require(False, self, each, rule, given[each])
        for p in parameters:
            variadic = p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            if p.default is p.empty and not variadic and p.name not in given:
                raise BadInput(f"{type(self).__name__}.{p.name} must be given: {name} requires it")

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some settings changed or added."""
        return type(self)(self.function, **dict(self.settings) | changes)

    def __setattr__(self, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.function, self.settings) == (other.function, other.settings)

    def __hash__(self) -> int:
        return hash((type(self), self.function, self.settings))

    def __repr__(self) -> str:
        words = [f"{name}={value_repr(value)}" for name, value in self.settings]
        return f"{type(self).__name__}({', '.join([public_name(self.function), *words])})"


def built(value: Any, steps: int) -> Any:
    """A setting as a function takes it, for a run of `steps` steps."""
    if isinstance(value, tuple):
        return tuple(built(each, steps) for each in value)
    if isinstance(value, Schedule):
        return value.schedule(steps)
    return value.build(steps) if isinstance(value, Optimizer) else value


def is_named(value: Any) -> bool:
    """Whether a value is a function or class that is found by its module and name."""
    if not inspect.isroutine(value) and not isinstance(value, type):
        return False
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def is_plain(value: Any) -> bool:
    """Whether a value may be a setting: hashable, and printed as its source."""
    if type(value) is tuple:
        return all(map(is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool | int | str | None | Schedule | Optimizer) or is_named(value)


def value_repr(value: Any) -> str:
    """A setting as a Python expression."""
    if isinstance(value, tuple):
        return f"({', '.join(map(value_repr, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, float):
        return repr(float(value))  # numpy's float64 is a float too, with another repr.
    return public_name(value) if is_named(value) else repr(value)


def public_name(function: Any) -> str:
    """The name of a function or class after its module, which ends before a private part."""
    names = function.__module__.split(".")
    private = (place for place, name in enumerate(names) if name.startswith("_"))
    return ".".join([*names[: next(private, None)], function.__qualname__])
