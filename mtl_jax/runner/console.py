"""The standard streams of a process that launches or trains, and its end."""

import io
import logging
import os
import sys
import warnings

from mtl_jax.core.validation import DataWarning

default_format = warnings.formatwarning
printed: set[str] = set()  # The warnings about data that were printed.


def set_up_console() -> None:
    """Lets errors and warnings of this process be lines without noise of libraries."""
    # A checkpoint that fails is told as an error of its run, without what its other writes meet.
    sys.unraisablehook = report_unraisable
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    # Replacing this function is documented, but not in the stub.
    warnings.formatwarning = format_warning  # ty: ignore[invalid-assignment]
    for stream in (sys.stdout, sys.stderr):  # A name may have letters that a locale lacks.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def exit_process(code: int) -> None:
    """Ends this process; threads that compile are not waited for if a signal stopped it."""
    if code > 128:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Formats a warning about data as one line, and only once; others as Python does."""
    if not issubclass(category, DataWarning):
        return default_format(message, category, filename, lineno, line)
    text = "" if str(message) in printed else f"warning: {' '.join(str(message).split())}\n"
    printed.add(str(message))
    return text


def report_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Reports an error that nothing can catch, except that of a write after its save has failed."""
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)
