"""Says in one line where a user's own part of a run fails, and with what."""

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
OURS = {"host", "train"}  # What fails here, and in no other part, is a fault of the package.


@contextlib.contextmanager
def explained(where: str, always: bool = False) -> Iterator[None]:
    """Turns what a user's code or values raise into `BadInput` of one line.

    The line names the file, the line and the function: the innermost frame of a user's own
    code, or else of the part of the package that was given something that it does not take (a
    loss, a trunk, a reader). A fault of the loop or of the step keeps its traceback.

    Args:
      where: what stands before it, such as "run 'digits'".
      always: whether any exception is due to what was given, wherever it was raised, as one is
        where a user's own code gave something else than it should.

    Raises:
      BadInput: from the exception, which `--debug` shows.
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
    except FloatingPointError:  # A run that diverged says so itself.
        raise
    except Exception as wrong:
        if isinstance(wrong, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(wrong):
            raise BadInput(f"{before}does not fit into memory: {first_line(wrong)}") from wrong
        place = blamed(wrong, always)
        # What a system says of a file or a disk is no fault of the code.
        of_system = isinstance(wrong, OSError) and wrong.errno is not None
        if place is None and not (always or of_system):
            raise
        raise BadInput(f"{before}{place + ': ' if place else ''}{first_line(wrong)}") from wrong


def first_line(wrong: BaseException, most: int = 300) -> str:
    """Type and text of an exception, the text's first line."""
    text = wrong.msg if isinstance(wrong, SyntaxError) else str(wrong)
    text = next((line.strip() for line in text.splitlines() if line.strip()), "")
    text = text if len(text) <= most else f"{text[: most - 4]} ..."
    return f"{type(wrong).__name__}: {text}" if text else type(wrong).__name__


def blamed(wrong: BaseException, always: bool = False) -> str | None:
    """The place of a user's code that raised, else of a part of the package that users choose.

    With `always`, of any part of the package.
    """
    place = user_place(wrong)
    if place is not None:
        return place
    inside = [frame for frame in frames(wrong) if PACKAGE in pathlib.Path(frame.filename).parents]
    if not inside:
        return None
    room = pathlib.Path(inside[-1].filename).relative_to(PACKAGE).parts[0]
    return None if room in OURS and not always else told(inside[-1])


def user_place(wrong: BaseException) -> str | None:
    """The innermost frame of code that is neither the package's nor a library's."""
    if isinstance(wrong, SyntaxError) and wrong.filename and is_user(wrong.filename):
        return f"{shortened(wrong.filename)}, line {wrong.lineno}"
    own = [frame for frame in frames(wrong) if is_user(frame.filename)]
    return told(own[-1]) if own else None


def frames(wrong: BaseException) -> list[traceback.FrameSummary]:
    """Frames from where an exception was caught to where it was raised."""
    return traceback.extract_tb(wrong.__traceback__)


def is_user(filename: str) -> bool:
    """Whether a file is a user's own: not the package's, nor a library's, nor no file at all."""
    path = pathlib.Path(filename)
    if filename.startswith("<") or PACKAGE in path.parents:
        return False
    return not any(pathlib.Path(library) in path.parents for library in LIBRARIES)


def told(frame: traceback.FrameSummary) -> str:
    """Where a frame is, in words."""
    inside = "" if frame.name.startswith("<") else f", in {frame.name}"
    return f"{shortened(frame.filename)}, line {frame.lineno}{inside}"


def shortened(filename: str) -> str:
    """A path as seen from here, if it is below; of the package from its own name on."""
    path = pathlib.Path(filename)
    if PACKAGE in path.parents:
        return str(path.relative_to(PACKAGE.parent))
    here = pathlib.Path(os.getcwd())
    return str(path.relative_to(here)) if here in path.parents else filename


def has_own(part: Any) -> bool:
    """Whether a setting holds code that is not the package's: a function or a class of its own."""
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
