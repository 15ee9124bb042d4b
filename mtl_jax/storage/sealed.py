"""Trees on disk, each sealed by a hash of its files next to it."""

import contextlib
import logging
import pathlib
from collections.abc import Generator
from typing import Any

from orbax.checkpoint import v1 as ocp

from mtl_jax.core.schema import SCHEMA, require_schema
from mtl_jax.nets.pretrained.run_checkpoint import alone, hash_of_files, read_host_tree
from mtl_jax.storage.files import system_error, write_text
from mtl_jax.storage.processes import on_first


def write_sealed(path: pathlib.Path, parts: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Writes named trees, and then the hash of their files next to them.

    Raises:
      OSError: naming the path, if the disk is full, or another error of the operating system.
    """
    try:
        with silent_log():
            ocp.save_checkpointables(
                str(path), parts, overwrite=True, custom_metadata={"schema": SCHEMA, **metadata}
            )
    except Exception as error:
        found = system_error(error, path)
        if found is None:
            raise
        raise found from error
    on_first(lambda: write_text(hash_file(path), hash_of_files(path)))


@contextlib.contextmanager
def silent_log() -> Generator[None, None, None]:
    """Orbax does not log the errors that it raises."""
    logger = logging.getLogger("absl")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def read_sealed(path: pathlib.Path) -> dict[str, Any]:
    """Reads a sealed state as nested dicts of host arrays.

    Raises:
      ValueError: if the checkpoint is missing or damaged.
    """
    if not is_intact(path):
        raise ValueError(f"checkpoint {path} is missing or damaged")
    read_metadata(path)
    return read_host_tree(path, "state")


def read_metadata(path: pathlib.Path) -> tuple[set[str], dict[str, Any]]:
    """Reads the names of a checkpoint's trees and its custom metadata.

    Raises:
      BadInput: for another schema.
    """
    with alone():
        found = ocp.checkpointables_metadata(str(path))
    metadata = found.custom_metadata if isinstance(found.custom_metadata, dict) else {}
    require_schema(metadata, path)
    return set(found.metadata), metadata


def hash_file(path: pathlib.Path) -> pathlib.Path:
    """Path of a checkpoint's hash file."""
    return path.with_name(f"{path.name}.sha256")


def is_intact(path: pathlib.Path) -> bool:
    """Whether a checkpoint's files match the stored hash."""
    return (
        path.is_dir()
        and hash_file(path).is_file()
        and hash_file(path).read_text(encoding="utf-8") == hash_of_files(path)
    )
