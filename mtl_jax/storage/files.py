"""Files that are whole or not there, free names, and one launch to a folder."""

import fcntl
import json
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

from mtl_jax.core.validation import BadInput


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file whole or not at all."""
    half = path.with_name(f"{path.name}.half")
    with open(half, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes JSON whole or not at all."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def free_name(path: pathlib.Path) -> pathlib.Path:
    """The path, or the first of `path.1`, `path.2`, ... that does not exist."""
    count, name = 0, path
    while name.exists():
        count += 1
        name = path.with_name(f"{path.name}.{count}")
    return name


def require_file_names(names: Iterable[str]) -> None:
    """Requires names that files can have here.

    Raises:
      BadInput: for one with letters that the locale's encoding lacks.
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


def open_root(root: pathlib.Path):
    """Makes the output folder and holds it for this process.

    Returns:
      The open lock file; the lock ends with the process, however it ends.

    Raises:
      BadInput: if its name is a pattern, the folder cannot be made or written, or another launch holds it.
    """
    if set(str(root.absolute())) & set("*?[]"):
        raise BadInput(f"--out must not hold * ? [ ], orbax takes {root} for a pattern")
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = open(root / ".lock", "w")  # noqa: SIM115, it is held until the process ends.
    except (FileExistsError, NotADirectoryError):
        raise BadInput(f"--out must be a folder, {root} is a file") from None
    except OSError as wrong:
        raise BadInput(f"--out must be writable: {root}: {wrong.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise BadInput(f"--out must be free, {root} is in use by another launch") from None
    return lock
