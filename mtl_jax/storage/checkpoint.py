"""Checkpoints of a run: written asynchronously during training, verified when read."""

import concurrent.futures
import hashlib
import pathlib
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from mtl_jax.core.schema import STATE
from mtl_jax.core.tree import path_str
from mtl_jax.nets.pretrained.run_checkpoint import read_host_tree
from mtl_jax.storage.files import unused_path
from mtl_jax.storage.processes import fetch, on_first
from mtl_jax.storage.sealed import hash_file, is_intact, read_metadata, read_sealed, write_sealed
from mtl_jax.train import TrainState

MAX_TO_KEEP = 2
# One thread for all runs: Orbax's saves wait for each other for ever if several run at once.
WRITER = concurrent.futures.ThreadPoolExecutor(1)


class CheckpointContent(NamedTuple):
    """Content of a checkpoint."""

    state: TrainState
    candidates: dict[str, Any]  # for the selection
    note: dict[str, Any]  # of the run that wrote it


class CheckpointManager:
    """Keeps the last two states of a run, one folder per step with a hash of its files next to it.

    Orbax loads flipped bits silently and raises a dozen kinds of errors for other damage, so a
    checkpoint is valid only if its files match the stored hash. A damaged one is set aside, never
    deleted, and the previous one is used.
    """

    def __init__(self, folder: pathlib.Path, warn: Callable[[str], None]):
        self.folder = folder.absolute()
        self.warn = warn
        self.pending: concurrent.futures.Future | None = None

    def save(
        self, step: int, state: TrainState, candidates: dict[str, Any], note: dict[str, Any]
    ) -> None:
        """Starts writing a state in the background, while training continues.

        The leaves are copied first, since the next step reuses the memory of the old state.

        Args:
          step: the name of the checkpoint.
          state: the state after that step.
          candidates: models that may still be selected, as host arrays that are not modified.
          note: JSON-serializable metadata, returned by `restore`.
        """
        self.wait()
        if jax.process_count() > 1:  # Orbax waits by collectives, which this thread must order.
            self.write(step, tree_of(state), candidates, note)
        else:
            self.pending = WRITER.submit(self.write, step, to_host(state), candidates, note)

    def wait(self) -> None:
        """Waits until the pending checkpoint is on disk."""
        if self.pending is not None:
            self.pending.result()
            self.pending = None

    def write(self, step: int, state: dict, candidates: dict, note: dict[str, Any]) -> None:
        """Writes and seals a checkpoint, and deletes old ones."""
        parts = {"state": state, **({"candidates": candidates} if candidates else {})}
        write_sealed(self.folder / str(step), parts, {"note": note})
        on_first(self.delete_old)

    def delete_old(self) -> None:
        """Deletes the checkpoints beyond the last `MAX_TO_KEEP`."""
        for old in self.steps()[:-MAX_TO_KEEP]:
            self.delete(old)

    def delete(self, step: int) -> None:
        """Deletes a checkpoint."""
        hash_file(self.folder / str(step)).unlink()
        shutil.rmtree(self.folder / str(step))

    def delete_after(self, step: int) -> None:
        """Deletes the checkpoints of later steps."""
        for later in [each for each in self.steps() if each > step]:
            self.delete(later)

    def steps(self) -> list[int]:
        """Steps of the sealed checkpoints, oldest first."""
        names = (path.stem for path in self.folder.glob("*.sha256"))
        return sorted(int(name) for name in names if name.isdecimal())

    def last_note(self) -> dict[str, Any]:
        """The note of the newest intact checkpoint, {} without one."""
        intact = (self.folder / str(step) for step in reversed(self.steps()))
        path = next(filter(is_intact, intact), None)
        return {} if path is None else read_metadata(path)[1]["note"]

    def restore(self, like: TrainState) -> CheckpointContent | None:
        """Restores the newest intact checkpoint.

        Args:
          like: a state of the run that specifies structure, dtypes and devices.

        Returns:
          Its content, or None if there is no intact checkpoint.
        """
        step = on_first(self.newest_intact)
        if step is None:
            return None
        path = self.folder / str(step)
        names, metadata = read_metadata(path)
        state = ocp.load(str(path), abstract_of(like), checkpointable_name="state")
        candidates = read_host_tree(path, "candidates") if "candidates" in names else {}
        return CheckpointContent(state_of(state, like), candidates, metadata["note"])

    def newest_intact(self) -> int | None:
        """The newest intact step, after damaged and incomplete checkpoints are set aside."""
        unsealed = [path for path in self.folder.glob("[0-9]*") if path.name.isdecimal()]
        for path in [*self.folder.glob("*.orbax-checkpoint-tmp*"), *unsealed]:
            if path.is_dir() and not hash_file(path).exists():  # A killed process wrote it.
                shutil.rmtree(path)
        for step in reversed(self.steps()):
            path = self.folder / str(step)
            if is_intact(path):
                return step
            aside = unused_path(self.folder / f"broken-{step}")
            self.warn(f"checkpoint {path} is damaged and was set aside as {aside.name}")
            if path.exists():
                path.rename(aside)
            hash_file(path).unlink()
        return None

    def load(self, step: int) -> dict[str, Any]:
        """Reads the state of one checkpoint as nested dicts, whichever run wrote it.

        Raises:
          ValueError: if the checkpoint is missing or damaged.
        """
        return read_sealed(self.folder / str(step))


def wait_for_writer() -> None:
    """Waits until all pending checkpoints of all runs are on disk, or have failed."""
    WRITER.submit(int).result()


def tree_of(state: TrainState) -> dict[str, Any]:
    """A state as a dict keyed by `STATE`; the PRNG key becomes raw key data."""
    state = state._replace(key=jax.random.key_data(state.key))
    return {name: getattr(state, name) for name in STATE}


def to_host(state: TrainState) -> dict[str, Any]:
    """Copies a state to host arrays, as `tree_of`."""
    return jax.tree.map(lambda leaf: np.array(leaf, copy=True), fetch(tree_of(state)))


def abstract_of(state: TrainState) -> dict[str, Any]:
    """Shapes and shardings of `tree_of`."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding),
        tree_of(state),
    )


def state_of(tree: dict[str, Any], like: TrainState) -> TrainState:
    """Inverts `tree_of`, with arrays sharded as in `like`."""
    state = TrainState(**{name: tree[name] for name in STATE})
    state = state._replace(key=jax.random.wrap_key_data(state.key))
    return jax.tree.map(lambda leaf, target: jax.device_put(leaf, target.sharding), state, like)


def digest(tree: Any) -> str:
    """SHA-256 over the path, dtype, shape and bytes of every leaf, sorted by path."""
    sha256 = hashlib.sha256()
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    for path, leaf in sorted(
        ((path_str(path), leaf) for path, leaf in leaves), key=lambda pair: pair[0]
    ):
        array = np.ascontiguousarray(leaf)
        sha256.update(f"{path}:{array.dtype}{np.shape(leaf)}".encode())
        sha256.update(array.tobytes())
    return sha256.hexdigest()
