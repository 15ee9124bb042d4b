"""Checkpoints of a run: written beside the training, verified when read."""

import hashlib
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from mtl_jax.train import TrainState
from mtl_jax.trees import path_text

KEPT = 2


class Checkpoints:
    """The last two states of a run, in one folder a step.

    Orbax loads flipped bits without a word, so each checkpoint carries the SHA-256 of its
    leaves; one that does not load or does not match is set aside, never deleted, and the
    one before is taken.
    """

    def __init__(self, folder: pathlib.Path, warn: Callable[[str], None]):
        self.folder = folder.absolute()
        self.warn = warn
        self.pending = None

    def save(self, step: int, state: TrainState, note: dict[str, Any]) -> None:
        """Begins to write a state; the training goes on meanwhile.

        The leaves are copied first: the next step takes the memory of the old state.

        Args:
          step: names the checkpoint.
          state: the state after that step.
          note: anything that JSON can hold, given back by `restore`.
        """
        self.wait()
        tree = plain(state)
        self.pending = ocp.save_async(
            self.folder / str(step),
            tree,
            overwrite=True,
            custom_metadata={"sha256": digest(tree), "note": note},
        )

    def wait(self) -> None:
        """Waits until the checkpoint on its way is on disk, then drops those too old."""
        if self.pending is None:
            return
        self.pending.result()
        self.pending = None
        for step in self.steps()[:-KEPT]:
            shutil.rmtree(self.folder / str(step))

    def steps(self) -> list[int]:
        """Steps of the finished checkpoints, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(entry.name) for entry in self.folder.iterdir() if entry.name.isdigit())

    def restore(self, like: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """Reads the newest checkpoint that is whole.

        Args:
          like: a state of the run, for structure, types and devices.

        Returns:
          The state and its note, or None if there is no whole checkpoint.
        """
        for left in self.folder.glob("*.orbax-checkpoint-tmp*") if self.folder.is_dir() else ():
            shutil.rmtree(left)
        for step in reversed(self.steps()):
            try:
                return self.read(step, like)
            except Exception as wrong:  # noqa: BLE001, orbax raises a dozen types.
                aside = free_name(self.folder / f"broken-{step}")
                (self.folder / str(step)).rename(aside)
                text = " ".join(str(wrong).split())[:200]
                self.warn(f"checkpoint {self.folder / str(step)} is damaged ({text}); "
                          f"set aside as {aside.name}")  # fmt: skip
        return None

    def read(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Reads one checkpoint; raises if it is not whole."""
        tree = ocp.load(self.folder / str(step), plain(like))
        return revived(tree, like), self.verified(step, tree)

    def tree(self, step: int) -> dict[str, Any]:
        """Reads one checkpoint as plain dicts, whatever run wrote it; raises if not whole."""
        tree = ocp.load(self.folder / str(step))
        self.verified(step, tree)
        return tree

    def verified(self, step: int, tree: dict[str, Any]) -> dict[str, Any]:
        """The note of a checkpoint whose leaves are those that were saved; else raises."""
        about = ocp.metadata(self.folder / str(step)).custom_metadata
        found = digest(tree)
        if found != about["sha256"]:
            raise ValueError(f"content hash is {found[:16]}, not {about['sha256'][:16]}")
        return about["note"]


def plain(state: TrainState) -> dict[str, Any]:
    """The state as a dict of host arrays of its own; the typed key becomes its words."""
    state = state._replace(key=jax.random.key_data(state.key))
    return jax.tree.map(lambda leaf: np.array(leaf, copy=True), state._asdict())


def revived(tree: dict[str, Any], like: TrainState) -> TrainState:
    """Undoes `plain`, on the devices of `like`."""
    state = TrainState(**tree)
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


def free_name(path: pathlib.Path) -> pathlib.Path:
    """The path, or the first of `path.1`, `path.2`, ... that does not exist."""
    count, name = 0, path
    while name.exists():
        count += 1
        name = path.with_name(f"{path.name}.{count}")
    return name
