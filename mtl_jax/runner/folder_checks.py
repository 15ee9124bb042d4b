"""Checks that the names of rows can be folders."""

import os
import pathlib
import unicodedata

from mtl_jax.core.validation import require

MAX_SUFFIX = 12  # Bytes that a launch may add to a name (".old.123").
MAX_SUBPATH = 200  # Bytes of the path of a checkpoint's file below a run's folder.


def check_folders(root: pathlib.Path, names: list[str]) -> None:
    """Rejects run names that the file system cannot store or distinguish.

    Raises:
      BadInput: for a name or a path that is too long, or names that differ only in case on a
        case-insensitive file system.
    """
    max_name, max_path = os.pathconf(root, "PC_NAME_MAX"), os.pathconf(root, "PC_PATH_MAX")
    by_folded_name = {}
    for name in names:
        by_folded_name.setdefault(unicodedata.normalize("NFC", name).casefold(), []).append(name)
        name_size, path_size = len(os.fsencode(name)), len(os.fsencode((root / name).absolute()))
        rule = "must fit into a folder's name and path on this file system"
        fits = name_size + MAX_SUFFIX <= max_name and path_size + MAX_SUBPATH <= max_path
        require(fits, "Experiment", "runs", rule, str(root / name))
    if (root / ".LOCK").exists():
        for same in by_folded_name.values():
            rule = "must differ in more than the case of letters on this file system"
            require(len(same) == 1, "Experiment", "runs", rule, same)
