"""Digests of a row's inputs: its data, initial weights, and the runs it depends on."""

import hashlib
import sys
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run, dependencies
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.init_params import load_pretrained
from mtl_jax.storage.checkpoint import digest
from mtl_jax.storage.run_data import is_on_disk, load
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import separate_seeds

Row = Run | SklearnBaseline
CHANGED = {
    "data": "its data are other ones now",
    "weights": "the weights that it starts from are other ones now",
    "runs": "a run that it starts from or learns from was trained anew since",
}


# By source and seeds: a reference to the first array of the data, and the digest.
Key = tuple[DataSource, tuple[int, ...], bool]  # Arguments of `load`.
digests: dict[Key, tuple[weakref.ref, str]] = {}
ON_DISK = "files:"  # Begins the digest of data that are not read, but known by their files.


def data_digest(
    source: DataSource, seeds: tuple[int, ...] = (), on_disk: bool = False, reload: bool = False
) -> str:
    """SHA-256 over split, name, dtype, shape and bytes of every array of a data source.

    It is computed once per source, however many rows use it. Of `Rows` it is of their identity.

    Args:
      source: the data source.
      seeds: the seeds that have their own data.
      on_disk: whether examples stay on disk.
      reload: whether the data are loaded again, unless they are still in memory.
    """
    key = (source, seeds, on_disk)
    cached = digests.get(key)
    if cached is not None and not (reload and cached[0]() is not first_array(load(*key))):
        return cached[1]
    data = load(*key)
    total, kind = hashlib.sha256(), ""
    for path, array in sorted(leaves(splits_by_name(data)), key=lambda leaf: leaf[0]):
        if isinstance(array, Rows):
            kind = ON_DISK
            total.update(f"{path}:{array.dtype}{array.shape};{array.identity()}".encode())
            continue
        contiguous = np.ascontiguousarray(array)
        total.update(f"{path}:{contiguous.dtype}{contiguous.shape};".encode())
        # The bytes of object arrays, such as names, are only pointers.
        if contiguous.dtype.hasobject:
            total.update(repr(contiguous.tolist()).encode())
        else:
            total.update(contiguous.reshape(-1).view(np.uint8).data)
    digests[key] = weakref.ref(first_array(data)), kind + total.hexdigest()
    return digests[key][1]


def splits_by_name(data: tuple[Splits, ...]) -> dict[str, Any]:
    """The splits by name, for several seeds also by seed index."""
    by_index = {str(index): splits._asdict() for index, splits in enumerate(data)}
    return by_index if len(data) > 1 else by_index["0"]


def first_array(data: tuple[Splits, ...]) -> np.ndarray | Rows:
    """One of the arrays, whose identity distinguishes two loads of the data."""
    every = (array for _, array in leaves(splits_by_name(data)))
    return next(array for array in every if isinstance(array, np.ndarray | Rows))


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays of nested dicts with their paths."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name}/")
        else:
            yield f"{path}{name}", value


def forget() -> None:
    """Clears the data caches, since files may have changed."""
    load.cache_clear()
    digests.clear()


def row_dependencies(row: Row) -> tuple[Run, ...]:
    """The runs that must be finished before a row starts."""
    if isinstance(row, Run):
        return dependencies(row)
    return () if row.features_from is None else (row.features_from,)


def input_facts(folder: RunDirectory, reload: bool = False) -> dict[str, Any]:
    """The inputs of a row as stored in `run.json`; of other runs, only finished ones."""
    row = folder.run
    entries: dict[str, Any] = {
        "data": data_digest(row.data, separate_seeds(row), is_on_disk(row), reload)
    }
    source = row.initialization.init_from if isinstance(row, Run) else None
    if source is not None and not isinstance(source, Run):
        entries["weights"] = digest(jax.device_get(load_pretrained(row)))
    folders = [RunDirectory(folder.path.parent, run) for run in row_dependencies(row)]
    entries["runs"] = {f.run.name: parameters_digest(f) for f in folders if f.is_finished()}
    return entries


def parameters_digest(folder: RunDirectory) -> str:
    """The digests of a finished run's last and selected parameters.

    Raises:
      Damaged: if its result has none.
    """
    result = folder.result()
    try:
        return result["state_sha256"] + result["selected_sha256"]
    except (KeyError, TypeError):
        raise folder.damaged(folder.path / "result.json", "has no digests") from None


def changed_inputs(folder: RunDirectory, reload: bool = False) -> list[str]:
    """The inputs of a row that have changed since it was trained, as keys of `CHANGED`.

    Inputs that older results did not record count as unchanged.

    Raises:
      BadInput: if the data cannot be read.
    """
    stored = folder.read("run.json") or {}
    if not CHANGED.keys() & stored.keys():
        return []
    new = input_facts(folder, reload)
    names = [n for n in ("data", "weights") if differ(stored.get(n, new.get(n)), new.get(n))]
    runs = stored.get("runs", {})
    retrained = any(runs.get(name, state) != state for name, state in new["runs"].items())
    return names + ["runs"] * retrained


def differ(stored: Any, new: Any) -> bool:
    """Whether digests differ; of data on disk and data that were read, this is unknown."""
    on_disk = [str(digest).startswith(ON_DISK) for digest in (stored, new)]
    return on_disk[0] == on_disk[1] and stored != new


def check(folder: RunDirectory, reload: bool = False) -> None:
    """Rejects the contents of a row's folder if its inputs have changed.

    If the data of a finished row cannot be read any more, it warns and accepts the row.

    Raises:
      BadInput: naming the row and the changed inputs.
    """
    name = folder.run.name
    try:
        names = changed_inputs(folder, reload)
    except (BadInput, ImportError) as error:
        if not folder.is_finished():
            raise
        text = f"{name!r} is finished, and whether its data changed since cannot be told"
        print(f"warning: {text}: {error}", file=sys.stderr)
        return
    if names:
        why = " and ".join(CHANGED[key] for key in names)
        raise BadInput(
            f"{folder.path} has what was trained before of {name!r}, and {why}; give --out another "
            "folder, or --fresh to set the old one aside and train anew"
        )


def progress_of(folder: RunDirectory) -> str:
    """The progress of a folder's row, as text."""
    try:
        stored = folder.read("run.json")
        if stored is None:
            return "not begun"
        if stored["fingerprint"] != folder.fingerprint:
            return f"changed (was {stored['fingerprint'][:8]})"
        steps = [record["step"] for record in folder.records()]
    except BadInput:
        return "damaged"
    progress = "done" if folder.is_finished() else "begun"
    if progress == "begun" and isinstance(folder.run, Run):
        progress = f"step {max(steps, default=0)} of {folder.run.steps}"
    try:
        return ", ".join([progress, *(f"{name} changed" for name in changed_inputs(folder))])
    except (BadInput, ImportError):
        return f"{progress}, data unreadable"
