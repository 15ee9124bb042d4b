"""Atomic file writes, unused paths, and the locks of the output directory and of its rows."""

import errno
import fcntl
import json
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from mtl_jax.core.validation import BadInput

# Of a full disk, a limit of size, a quota, too many open files, a folder that cannot be written.
SYSTEM_ERRORS = (
    errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EROFS, errno.EACCES,
    errno.EIO,
)  # fmt: skip


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file atomically."""
    partial = path.with_name(f"{path.name}.half")
    with open(partial, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def system_error(error: BaseException, path: pathlib.Path) -> OSError | None:
    """The operating system's error behind an error of a library that wrote a path, if it is one.

    It is in the chain of causes, or only in the text, as with TensorStore.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return OSError(cause.errno, os.strerror(cause.errno), str(path))
        for code in SYSTEM_ERRORS:
            if os.strerror(code) in str(cause):
                return OSError(code, os.strerror(code), str(path))
        cause = cause.__cause__ or cause.__context__
    return None


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """Reads a JSON object; None if the file does not exist.

    Raises:
      BadInput: if it is none.
    """
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, IsADirectoryError):
        found = None
    if not isinstance(found, dict):
        raise BadInput(f"{path} is damaged")
    return found


def unused_path(path: pathlib.Path) -> pathlib.Path:
    """Returns the first of `path`, `path.1`, `path.2`, ... that does not exist."""
    count, unused = 0, path
    while unused.exists():
        count += 1
        unused = path.with_name(f"{path.name}.{count}")
    return unused


def require_file_names(names: Iterable[str]) -> None:
    """Requires names that are valid as file names.

    Raises:
      BadInput: for a name that the file system's encoding cannot represent.
    """
    for name in names:
        try:
            os.fsencode(name)
        except UnicodeEncodeError:
            encoding = sys.getfilesystemencoding()
            raise BadInput(
                f"{name!r} can be no folder, since files have names in {encoding} here; set "
                "PYTHONUTF8=1 or a locale of UTF-8"
            ) from None


def create_output_dir(root: pathlib.Path) -> None:
    """Creates the output directory.

    Raises:
      BadInput: if the path contains glob characters, or cannot be created.
    """
    if set(str(root.absolute())) & set("*?[]"):
        raise BadInput(f"--out must not hold * ? [ ], orbax takes {root} for a pattern")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise BadInput(f"--out must be a folder, {root} is a file") from None
    except OSError as error:
        raise BadInput(f"--out must be writable: {root}: {error.strerror}") from None


def lock_output_dir(root: pathlib.Path) -> TextIO:
    """Creates the output directory and locks it for this process.

    Returns:
      The open lock file; the lock is released when the process ends, however it ends.

    Raises:
      BadInput: if the directory cannot be created or written, or another launch holds the lock.
    """
    create_output_dir(root)
    return lock_file(root / ".lock", f"--out must be free, {root} is in use by another launch")


def lock_row(root: pathlib.Path, name: str) -> TextIO:
    """Locks a row of an output directory for this process, which trains it.

    Raises:
      BadInput: if the directory cannot be written, or another process holds the lock.
    """
    create_output_dir(root / ".locks")
    taken = f"{name!r} is in training by another process, which writes {root / name}"
    return lock_file(root / ".locks" / name, taken)


def lock_file(path: pathlib.Path, taken: str) -> TextIO:
    """Opens a lock file and locks it.

    Args:
      path: the file.
      taken: the message if another process holds the lock.
    """
    try:
        lock = open(path, "w", encoding="utf-8")  # noqa: SIM115, it is held until it is closed.
    except OSError as error:
        raise BadInput(f"--out must be writable: {path.parent}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise BadInput(taken) from None
    return lock
