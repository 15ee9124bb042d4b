"""One-line error messages that locate failures in user code or settings."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import sysconfig
import traceback
from collections.abc import Iterator
from typing import Any

import jax

from mtl_jax.core.validation import BadInput

PACKAGE = pathlib.Path(__file__).parent.parent
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
# Failures in these subpackages, and in no others, are bugs of the package.
OURS = {"report", "runner", "storage", "train"}


@contextlib.contextmanager
def explain_errors(where: str, always: bool = False) -> Iterator[None]:
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
    before = f"{where}: " if where else ""
    try:
        yield
    except BadInput as wrong:
        place = user_place(wrong)
        place = f"{place}: " if place and not where else ""
        if str(wrong).startswith(before) and not place:
            raise
        raise BadInput(f"{before}{place}{wrong}") from wrong
    except FloatingPointError:  # A diverged run has its own message.
        raise
    except Exception as wrong:
        if isinstance(wrong, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(wrong):
            raise BadInput(f"{before}does not fit into memory: {first_line(wrong)}") from wrong
        place = blamed(wrong, always)
        # An operating system error about a file or a disk is not a bug.
        of_system = isinstance(wrong, OSError) and wrong.errno is not None
        if place is None and not (always or of_system):
            raise
        raise BadInput(f"{before}{place + ': ' if place else ''}{first_line(wrong)}") from wrong


def first_line(wrong: BaseException, most: int = 300) -> str:
    """The type of an exception and the first line of its message."""
    text = wrong.msg if isinstance(wrong, SyntaxError) else str(wrong)
    text = next((line.strip() for line in text.splitlines() if line.strip()), "")
    text = text if len(text) <= most else f"{text[: most - 4]} ..."
    return f"{type(wrong).__name__}: {text}" if text else type(wrong).__name__


def blamed(wrong: BaseException, always: bool = False) -> str | None:
    """The location in user code that raised, else in a configurable part of the package.

    With `always`, in any part of the package.
    """
    place = user_place(wrong)
    if place is not None:
        return place
    inside = [frame for frame in frames(wrong) if PACKAGE in pathlib.Path(frame.filename).parents]
    if not inside:
        return None
    room = pathlib.Path(inside[-1].filename).relative_to(PACKAGE).parts[0]
    return None if room in OURS and not always else describe_frame(inside[-1])


def user_place(wrong: BaseException) -> str | None:
    """The innermost frame outside the package and installed libraries."""
    if isinstance(wrong, SyntaxError) and wrong.filename and is_user(wrong.filename):
        return f"{shortened(wrong.filename)}, line {wrong.lineno}"
    own = [frame for frame in frames(wrong) if is_user(frame.filename)]
    return describe_frame(own[-1]) if own else None


def frames(wrong: BaseException) -> list[traceback.FrameSummary]:
    """Frames from the handler of an exception to where it was raised."""
    return traceback.extract_tb(wrong.__traceback__)


def is_user(filename: str) -> bool:
    """Whether a file is user code: a real file, outside the package and libraries."""
    path = pathlib.Path(filename)
    if filename.startswith("<") or PACKAGE in path.parents:
        return False
    return not any(pathlib.Path(library) in path.parents for library in LIBRARIES)


def describe_frame(frame: traceback.FrameSummary) -> str:
    """Describes the location of a frame."""
    inside = "" if frame.name.startswith("<") else f", in {frame.name}"
    return f"{shortened(frame.filename)}, line {frame.lineno}{inside}"


def shortened(filename: str) -> str:
    """A path relative to the working directory if below it, or to the package's parent."""
    path = pathlib.Path(filename)
    if PACKAGE in path.parents:
        return str(path.relative_to(PACKAGE.parent))
    here = pathlib.Path(os.getcwd())
    return str(path.relative_to(here)) if here in path.parents else filename


def has_own(part: Any) -> bool:
    """Whether a setting contains user code: a function or class from outside the package."""
    if isinstance(part, tuple):
        return any(map(has_own, part))
    if isinstance(part, functools.partial):
        return has_own(part.func)
    if not dataclasses.is_dataclass(part):
        return callable(part) and not part.__module__.startswith("mtl_jax.")
    if not type(part).__module__.startswith("mtl_jax."):
        return True
    names = (field.name for field in dataclasses.fields(part) if field.name != "parent")
    return any(has_own(getattr(part, name, None)) for name in names)
