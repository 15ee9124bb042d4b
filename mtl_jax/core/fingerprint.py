"""Fingerprints of settings: a canonical string and its hash."""

import dataclasses
import functools
import hashlib
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mtl_jax.core.code_digest import code_digest
from mtl_jax.core.function_config import FunctionConfig
from mtl_jax.core.validation import BadInput

VERSION = 4


class Identified:
    """Base class of settings with fields on which no result depends."""

    def identity(self) -> Any:
        """What a fingerprint is of: the setting without these fields, or None for no setting."""
        raise NotImplementedError


def to_source(value: Any, code: Callable[[Any], str] | None = None, identity: bool = False) -> str:
    """Canonical Python expression of a value, the same in every process.

    Args:
      value: the value.
      code: returns a suffix for the name of each function and class; None appends the digest of
        user code (`mtl_jax.core.code_digest`), such as `#1a2b3c4d`, and nothing to others.
      identity: whether each `Identified` setting is replaced by its identity.

    Raises:
      BadInput: for a value without such an expression, such as a lambda or a local function.
    """
    value = identity_of(value, identity)
    code = digest_of if code is None else code
    text = functools.partial(to_source, code=code, identity=identity)
    if isinstance(value, np.ndarray | jax.Array):
        array = np.asarray(value)
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
        return f"array({array.dtype}{list(array.shape)}, {digest})"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(text, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k!r}: {text(v)}' for k, v in sorted(value.items()))}}}"
    if isinstance(value, functools.partial):
        words = [f"{k}={text(v)}" for k, v in sorted(value.keywords.items())]
        return f"partial({', '.join([*map(text, (value.func, *value.args)), *words])})"
    if isinstance(value, FunctionConfig):
        words = [f"{name}={text(each)}" for name, each in value.settings]
        return f"{type(value).__qualname__}({', '.join([text(value.function), *words])})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = non_default_fields(value, identity)
        words = [f"{name}={text(each)}" for name, each in fields.items()]
        # A user's class may have the name of a class of this package.
        top = type(value).__module__.split(".")[0]
        prefix = "" if top == "mtl_jax" else f"{top}."
        return f"{prefix}{type(value).__qualname__}{code(type(value))}({', '.join(words)})"
    if inspect.ismethod(value):
        return f"{text(value.__self__)}.{value.__name__}"
    if callable(value):
        return f"{function_text(value)}{code(value)}"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, float) and not math.isnan(value):
        return repr(float(value))  # numpy's float64 is a float too, with another repr.
    raise BadInput(f"a run must be data: {value!r} has no text that makes it again")


def digest_of(code: Any) -> str:
    """The digest of a user's function or class after a "#", and "" for others."""
    digest = code_digest(code, to_source)
    return digest and f"#{digest}"


def config_fields(value: Any) -> list[str]:
    """The fields of a dataclass that are part of its identity."""
    # The fields `parent` and `name` of a Flax module are not part of its configuration.
    hidden = {"parent", "name"} if hasattr(value, "scope") else set()
    return [f.name for f in dataclasses.fields(value) if f.init and f.name not in hidden]


def identity_of(value: Any, identity: bool) -> Any:
    """The identity of an `Identified` setting if asked for, else the value."""
    return value.identity() if identity and isinstance(value, Identified) else value


def non_default_fields(value: Any, identity: bool) -> dict[str, Any]:
    """The fields in a canonical string: all but those at a default of None or ().

    Hence a new option that is off by default does not change the fingerprint of runs that do not
    use it, and their results stay valid.
    """
    defaults = {f.name: f.default for f in dataclasses.fields(value)}
    nothing = {name for name, default in defaults.items() if default is None or default == ()}
    fields = {name: identity_of(getattr(value, name), identity) for name in config_fields(value)}
    return {
        name: each
        for name, each in fields.items()
        if name not in nothing or each is not defaults[name]
    }


def function_text(function: Callable) -> str:
    """Top-level package and qualified name of a function, without the module path."""
    name = getattr(function, "__qualname__", "<nameless>")
    module = getattr(function, "__module__", None)  # Some built-in wrappers have none.
    if "<" in name or module is None:
        raise BadInput(f"a run must be data: {name} in {module} is no named function")
    return f"{module.split('.')[0]}.{name}"


def fingerprint(setting: Any) -> str:
    """Fingerprint of a run or setting: format version and 16 digits of its string's SHA-256.

    The version changes if the same setting has another string, e.g. after renaming a class.
    """
    text = to_source(setting, identity=True)
    return f"{VERSION}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
