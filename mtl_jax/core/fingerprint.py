"""What a setting is: its text, the same in every process, and the hash of that text."""

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
from mtl_jax.core.validation import BadInput

VERSION = 2


def source_text(value: Any, code: Callable[[Any], str] | None = None) -> str:
    """Prints a value as the Python that makes it, the same in every process.

    Args:
      value: what is printed.
      code: what follows the name of each function and class; None is the digest of a user's own
        (`mtl_jax.core.code_digest`), such as `#1a2b3c4d`, and nothing for others.

    Raises:
      BadInput: for what has no such text, as a lambda or a local function has none.
    """
    code = digest_of if code is None else code
    text = functools.partial(source_text, code=code)
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
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        words = [f"{name}={text(getattr(value, name))}" for name in told(value)]
        # A user's class may bear the name of one of ours.
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
        return repr(float(value))  # numpy's float64 is a float too, and prints otherwise.
    raise BadInput(f"a run must be data: {value!r} has no text that makes it again")


def digest_of(code: Any) -> str:
    """The digest of a user's function or class behind a mark, and nothing for others."""
    digest = code_digest(code, source_text)
    return digest and f"#{digest}"


def settings(value: Any) -> list[str]:
    """The fields of a dataclass that make it what it is."""
    # A Flax module has the fields `parent` and `name`, which say where it hangs, not what it is.
    hidden = {"parent", "name"} if hasattr(value, "scope") else set()
    return [f.name for f in dataclasses.fields(value) if f.init and f.name not in hidden]


def told(value: Any) -> list[str]:
    """The settings that a text names: all but those that stand at a default of nothing.

    So a class that gains an option which is off by default keeps the identity, and with it the
    results, of all that does not use it.
    """
    defaults = {f.name: f.default for f in dataclasses.fields(value)}
    nothing = {name for name, default in defaults.items() if default is None or default == ()}
    return [
        name
        for name in settings(value)
        if name not in nothing or getattr(value, name) is not defaults[name]
    ]


def function_text(function: Callable) -> str:
    """Top package and name of a function; private module paths stay out."""
    name = getattr(function, "__qualname__", "<nameless>")
    module = getattr(function, "__module__", None)  # What Python itself wraps has none.
    if "<" in name or module is None:
        raise BadInput(f"a run must be data: {name} in {module} is no named function")
    return f"{module.split('.')[0]}.{name}"


def fingerprint(setting: Any) -> str:
    """Identity of a run or setting: the scheme's version, and 16 digits of its text's SHA-256.

    The version changes where the same setting gets another text, as a class renamed gives it.
    """
    return f"{VERSION}-{hashlib.sha256(source_text(setting).encode()).hexdigest()[:16]}"
