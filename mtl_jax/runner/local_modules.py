"""Runs an experiment file, which may import modules from its own folder."""

import ast
import importlib.util
import os
import pathlib
import sys
import types
from collections.abc import Iterator
from importlib.machinery import PathFinder

from mtl_jax.core.validation import BadInput

PACKAGE = "experiments"  # The package of experiment files.
folders: list[str] = []  # Folders of the executed files, as entries of `sys.path`.


def run_file(path: pathlib.Path) -> types.ModuleType:
    """Runs a Python file as a module of the package `experiments`.

    Until another file is run, modules of its folder can be imported, also later and within
    functions, as `helpers` or `.helpers`. The folder is appended to `sys.path`, so that it does
    not shadow installed packages.

    Raises:
      BadInput: if it is not a Python file, or if a module of its folder that it imports, directly
        or transitively, has the same name as another module.
    """
    name, path = f"{PACKAGE}.{path.stem}", path.resolve()
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} is no Python file")
    open_folder(path.parent)
    for file in imported_files(path, path.parent):
        require_unique_name(path, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Python reuses bytecode of a file with the same size and modification time in seconds.
    dont_write_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = dont_write_bytecode
    return module


def open_folder(folder: pathlib.Path) -> None:
    """Makes modules of a folder importable, and unloads those of previous folders."""
    importlib.invalidate_caches()
    sys.path[:] = [entry for entry in sys.path if entry not in folders]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and file.startswith(tuple(f"{entry}{os.sep}" for entry in folders)):
            del sys.modules[name]
    folders.clear()
    if folder not in map(absolute, sys.path):
        folders.append(str(folder))
        sys.path.append(str(folder))
    spec = PathFinder.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        package = types.ModuleType(PACKAGE)
        locations = None if spec is None else spec.submodule_search_locations
        package.__path__ = [str(folder), *(locations or ())]
        sys.modules[PACKAGE] = package


def absolute(entry: str) -> pathlib.Path:
    """The folder of an entry of `sys.path`; "" is the working directory."""
    return pathlib.Path(entry).resolve()


def module_file(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """The file of a module in a folder, or None."""
    files = (folder / f"{name}.py", folder / name / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def imported_files(path: pathlib.Path, folder: pathlib.Path) -> list[pathlib.Path]:
    """Files of a folder that a file imports by absolute name, directly or transitively."""
    queue, files = [path], []
    for file in queue:
        for name in imported_names(file):
            module = module_file(folder, name)
            if module is not None and module not in files:
                files.append(module)
                queue.append(module)
    return files


def imported_names(path: pathlib.Path) -> Iterator[str]:
    """Top-level names that a file imports; none if it cannot be parsed, as it fails later."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module.partition(".")[0]


def require_unique_name(path: pathlib.Path, file: pathlib.Path) -> None:
    """Rejects a module of the experiment's folder whose name is also that of another module."""
    name = file.parent.name if file.stem == "__init__" else file.stem
    module = sys.modules.get(name)
    if module is not None:
        other = getattr(module, "__file__", None) or "Python's own"
    else:
        spec = importlib.util.find_spec(name)
        other = "Python's own" if spec is None or spec.origin is None else spec.origin
    if pathlib.Path(other).resolve() != file:
        raise BadInput(f"{path}: import {name} could mean {file} or {other}; rename the file")
