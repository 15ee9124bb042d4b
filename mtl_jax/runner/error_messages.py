"""One-line error messages that locate failures in user code or settings."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import sysconfig
import traceback
from collections.abc import Generator
from typing import Any

import jax

from mtl_jax.core.validation import BadInput

PACKAGE = pathlib.Path(__file__).parent.parent
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
# Failures in these subpackages, and in no others, are bugs of the package.
INTERNAL = {"report", "runner", "storage", "train"}


@contextlib.contextmanager
def explain_errors(where: str, always: bool = False) -> Generator[None, None, None]:
    """Converts exceptions caused by user code or values into a one-line `BadInput`.

    The message names the file, the line and the function: the innermost frame of user code, or
    else of the part of the package that received an invalid value (a loss, a trunk, a reader).
    Bugs of the training loop or step keep their traceback.

    Args:
      where: prefix of the message, such as "run 'digits'".
      always: whether any exception is attributed to the input, wherever it was raised, such as
        where user code returned an invalid value.

    Raises:
      BadInput: from the original exception, which `--debug` shows.
    """
    prefix = f"{where}: " if where else ""
    try:
        yield
    except BadInput as error:
        location = user_location(error)
        location = f"{location}: " if location and not where else ""
        if str(error).startswith(prefix) and not location:
            raise
        raise BadInput(f"{prefix}{location}{error}") from error
    except FloatingPointError:  # A diverged run has its own message.
        raise
    except MemoryError as error:
        raise BadInput(f"{prefix}does not fit into memory") from error
    except Exception as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error):
            raise BadInput(f"{prefix}does not fit into memory: {first_line(error)}") from error
        location = error_location(error, always)
        # An operating system error about a file or a disk is not a bug.
        is_system_error = isinstance(error, OSError) and error.errno is not None
        if location is None and not (always or is_system_error):
            raise
        raise BadInput(
            f"{prefix}{location + ': ' if location else ''}{first_line(error)}"
        ) from error


def first_line(error: BaseException, max_length: int = 300) -> str:
    """The type of an exception and the first line of its message."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    text = next((line.strip() for line in text.splitlines() if line.strip()), "")
    text = text if len(text) <= max_length else f"{text[: max_length - 4]} ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def error_location(error: BaseException, always: bool = False) -> str | None:
    """The location in user code that raised, else in a configurable part of the package.

    With `always`, in any part of the package.
    """
    location = user_location(error)
    if location is not None:
        return location
    inside = [frame for frame in frames(error) if PACKAGE in pathlib.Path(frame.filename).parents]
    if not inside:
        return None
    subpackage = pathlib.Path(inside[-1].filename).relative_to(PACKAGE).parts[0]
    return None if subpackage in INTERNAL and not always else describe_frame(inside[-1])


def user_location(error: BaseException) -> str | None:
    """The innermost frame outside the package and installed libraries."""
    if isinstance(error, SyntaxError) and error.filename and is_user(error.filename):
        return f"{short_path(error.filename)}, line {error.lineno}"
    in_user_code = [frame for frame in frames(error) if is_user(frame.filename)]
    return describe_frame(in_user_code[-1]) if in_user_code else None


def frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Frames from the handler of an exception to where it was raised."""
    return traceback.extract_tb(error.__traceback__)


def is_user(filename: str) -> bool:
    """Whether a file is user code: a real file, outside the package and libraries."""
    path = pathlib.Path(filename)
    if filename.startswith("<") or PACKAGE in path.parents:
        return False
    return not any(pathlib.Path(library) in path.parents for library in LIBRARIES)


def describe_frame(frame: traceback.FrameSummary) -> str:
    """Describes the location of a frame."""
    function = "" if frame.name.startswith("<") else f", in {frame.name}"
    return f"{short_path(frame.filename)}, line {frame.lineno}{function}"


def short_path(filename: str) -> str:
    """A path relative to the working directory if below it, or to the package's parent."""
    path = pathlib.Path(filename)
    if PACKAGE in path.parents:
        return str(path.relative_to(PACKAGE.parent))
    directory = pathlib.Path(os.getcwd())
    return str(path.relative_to(directory)) if directory in path.parents else filename


def has_user_code(part: Any) -> bool:
    """Whether a setting contains user code: a function or class from outside the package."""
    if isinstance(part, tuple):
        return any(map(has_user_code, part))
    if isinstance(part, functools.partial):
        return has_user_code(part.func)
    if not dataclasses.is_dataclass(part):
        return callable(part) and not part.__module__.startswith("mtl_jax.")
    if not type(part).__module__.startswith("mtl_jax."):
        return True
    names = (field.name for field in dataclasses.fields(part) if field.name != "parent")
    return any(has_user_code(getattr(part, name, None)) for name in names)
