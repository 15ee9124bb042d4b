"""Environment of a launch: code, versions and devices, on which its results may depend."""

import functools
import hashlib
import importlib.metadata
import pathlib
import platform
import subprocess
from collections.abc import Mapping
from typing import Any

import jax

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "mtl_jax")
PACKAGE = pathlib.Path(__file__).parent.parent


def conditions() -> dict[str, Any]:
    """The versions, the git commit, a digest of the package's code, and the devices."""
    return {
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES}
        | {"python": platform.python_version()},
        "git": git_commit(),
        "code": code_of(PACKAGE),
        "devices": devices(),
    }


@functools.cache
def git_commit() -> str | None:
    """The git commit of the code, with "+" if files are changed; None outside git."""
    command = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty=+", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


@functools.cache
def code_of(folder: pathlib.Path) -> str:
    """Digest of all Python files below a folder, which detects uncommitted changes."""
    sha256 = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        sha256.update(f"{file.relative_to(folder).as_posix()}:{file.stat().st_size}:".encode())
        sha256.update(file.read_bytes())
    return sha256.hexdigest()[:16]


def devices() -> str:
    """Number and kind of the devices, such as "1 x cpu"."""
    found = jax.devices()
    return f"{len(found)} x {found[0].device_kind}"


def differ(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two launches ran in different environments; only fields that both have count."""
    return any(first[name] != second[name] for name in first.keys() & second.keys() - {"step"})
