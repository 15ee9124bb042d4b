"""Checkpoints of a run: written beside the training, verified when read."""

import concurrent.futures
import hashlib
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from mtl_jax.core.schema import SCHEMA, STATE, require_schema
from mtl_jax.core.tree import path_text
from mtl_jax.nets.pretrained.run_checkpoint import hash_of_files
from mtl_jax.storage.files import free_name, write_text
from mtl_jax.train import TrainState

KEPT = 2


class Checkpoints:
    """The last two states of a run, one folder a step with the hash of its files beside it.

    Orbax loads flipped bits without a word and meets other damage with a dozen kinds of
    errors, so a checkpoint counts only if its files hash to what was written. One that does
    not is set aside, never deleted, and the one before is taken.
    """

    def __init__(self, folder: pathlib.Path, warn: Callable[[str], None]):
        self.folder = folder.absolute()
        self.warn = warn
        self.writer = concurrent.futures.ThreadPoolExecutor(1)
        self.pending: concurrent.futures.Future | None = None

    def save(
        self, step: int, state: TrainState, candidates: dict[str, Any], note: dict[str, Any]
    ) -> None:
        """Begins to write a state; the training goes on meanwhile.

        The leaves are copied first: the next step takes the memory of the old state.

        Args:
          step: names the checkpoint.
          state: the state after that step.
          candidates: models that may yet be selected, as host arrays that nobody changes.
          note: anything that JSON can hold, given back by `restore`.
        """
        self.wait()
        self.pending = self.writer.submit(self.write, step, plain(state), candidates, note)

    def wait(self) -> None:
        """Waits until the checkpoint on its way is on disk."""
        if self.pending is not None:
            self.pending.result()
            self.pending = None

    def write(self, step: int, state: dict, candidates: dict, note: dict[str, Any]) -> None:
        """Writes a checkpoint, seals it, and drops those that are too old."""
        parts = {"state": state, **({"candidates": candidates} if candidates else {})}
        write_sealed(self.folder / str(step), parts, {"note": note})
        for old in self.steps()[:-KEPT]:
            seal(self.folder / str(old)).unlink()
            shutil.rmtree(self.folder / str(old))

    def steps(self) -> list[int]:
        """Steps of the sealed checkpoints, oldest first."""
        return sorted(int(path.stem) for path in self.folder.glob("*.sha256"))

    def restore(self, like: TrainState) -> tuple[TrainState, dict, dict[str, Any]] | None:
        """Reads the newest checkpoint that is whole.

        Args:
          like: a state of the run, for structure, types and devices.

        Returns:
          The state, the candidates and the note, or None if there is no whole checkpoint.
        """
        for left in self.folder.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(left)
        for step in reversed(self.steps()):
            path = self.folder / str(step)
            if whole(path):
                found = ocp.checkpointables_metadata(path)
                require_schema(found.custom_metadata, path)
                state = ocp.load(path, plain(like), checkpointable_name="state")
                kept = (
                    ocp.load(path, checkpointable_name="candidates")
                    if "candidates" in found.metadata
                    else {}
                )
                return revived(state, like), kept, found.custom_metadata["note"]
            aside = free_name(self.folder / f"broken-{step}")
            self.warn(f"checkpoint {path} is damaged and was set aside as {aside.name}")
            if path.exists():
                path.rename(aside)
            seal(path).unlink()
        return None

    def tree(self, step: int) -> dict[str, Any]:
        """Reads the state of one checkpoint as plain dicts, whatever run wrote it.

        Raises:
          ValueError: if it is not there or not whole.
        """
        return read_sealed(self.folder / str(step))


def write_sealed(path: pathlib.Path, parts: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Writes trees by name, and then the hash of their files beside them."""
    ocp.save_checkpointables(
        path, parts, overwrite=True, custom_metadata={"schema": SCHEMA, **metadata}
    )
    write_text(seal(path), hash_of_files(path))


def read_sealed(path: pathlib.Path) -> dict[str, Any]:
    """Reads the state that was written as plain dicts of host arrays.

    Raises:
      ValueError: if it is not there or not whole.
    """
    if not whole(path):
        raise ValueError(f"checkpoint {path} is missing or damaged")
    require_schema(ocp.checkpointables_metadata(path).custom_metadata, path)
    return ocp.load(path, checkpointable_name="state")


def seal(path: pathlib.Path) -> pathlib.Path:
    """The file with the hash of a checkpoint."""
    return path.with_name(f"{path.name}.sha256")


def whole(path: pathlib.Path) -> bool:
    """Whether a checkpoint's files are those that were written."""
    return (
        path.is_dir()
        and seal(path).is_file()
        and seal(path).read_text(encoding="utf-8") == hash_of_files(path)
    )


def plain(state: TrainState) -> dict[str, Any]:
    """The state as a dict of host arrays of its own, by `STATE`; the typed key becomes its words."""
    state = state._replace(key=jax.random.key_data(state.key))
    tree = {name: getattr(state, field) for name, field in STATE.items()}
    return jax.tree.map(lambda leaf: np.array(leaf, copy=True), tree)


def revived(tree: dict[str, Any], like: TrainState) -> TrainState:
    """Undoes `plain`, on the devices of `like`."""
    state = TrainState(**{field: tree[name] for name, field in STATE.items()})
    state = state._replace(key=jax.random.wrap_key_data(state.key))
    return jax.tree.map(lambda leaf, on: jax.device_put(leaf, on.sharding), state, like)


def digest(tree: Any) -> str:
    """SHA-256 over path, type, shape and bytes of every leaf, in the order of the paths."""
    total = hashlib.sha256()
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    for path, leaf in sorted(
        ((path_text(path), leaf) for path, leaf in leaves), key=lambda pair: pair[0]
    ):
        array = np.ascontiguousarray(leaf)
        total.update(f"{path}:{array.dtype}{np.shape(leaf)}".encode())
        total.update(array.tobytes())
    return total.hexdigest()
