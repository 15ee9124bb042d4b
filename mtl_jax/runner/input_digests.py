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
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.init_params import load_pretrained
from mtl_jax.storage.checkpoint import digest
from mtl_jax.storage.loading import load, separate_seeds
from mtl_jax.storage.run_directory import RunDirectory

Row = Run | SklearnBaseline
CHANGED = {
    "data": "its data are other ones now",
    "weights": "the weights that it starts from are other ones now",
    "runs": "a run that it starts from or learns from was trained anew since",
}


# By source and seeds: a reference to the first array of the data, and the digest.
digests: dict[tuple[DataSource, tuple[int, ...]], tuple[weakref.ref, str]] = {}


def data_digest(source: DataSource, seeds: tuple[int, ...] = (), now: bool = False) -> str:
    """SHA-256 over split, name, dtype, shape and bytes of every array of a data source.

    It is computed once per source, however many rows use it.

    Args:
      source: the data source.
      seeds: the seeds that have their own data.
      now: whether the digest must match the data loaded now, which a long launch may reload.
    """
    known = digests.get((source, seeds))
    if known is not None and not (now and known[0]() is not first_array(load(source, seeds))):
        return known[1]
    data = load(source, seeds)
    total = hashlib.sha256()
    for path, array in sorted(leaves(splits_by_name(data)), key=lambda leaf: leaf[0]):
        flat = np.ascontiguousarray(array)
        total.update(f"{path}:{flat.dtype}{flat.shape};".encode())
        # The bytes of object arrays, such as names, are only pointers.
        if flat.dtype.hasobject:
            total.update(repr(flat.tolist()).encode())
        else:
            total.update(flat.reshape(-1).view(np.uint8))
    digests[source, seeds] = weakref.ref(first_array(data)), total.hexdigest()
    return digests[source, seeds][1]


def splits_by_name(data: tuple[Splits, ...]) -> dict[str, Any]:
    """The splits by name, for several seeds also by seed index."""
    each = {str(place): splits._asdict() for place, splits in enumerate(data)}
    return each if len(data) > 1 else each["0"]


def first_array(data: tuple[Splits, ...]) -> np.ndarray:
    """One of the arrays, whose identity distinguishes two loads of the data."""
    return next(array for _, array in leaves(splits_by_name(data)) if isinstance(array, np.ndarray))


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays of nested dicts with their paths."""
    for name, each in tree.items():
        if isinstance(each, Mapping):
            yield from leaves(each, f"{path}{name}/")
        else:
            yield f"{path}{name}", each


def forget() -> None:
    """Clears the data caches, since files may have changed."""
    load.cache_clear()
    digests.clear()


def starts_of(row: Row) -> tuple[Run, ...]:
    """The runs that must be finished before a row starts."""
    if isinstance(row, Run):
        return dependencies(row)
    return () if row.features_from is None else (row.features_from,)


def facts(folder: RunDirectory, now: bool = False) -> dict[str, Any]:
    """The inputs of a row as stored in `run.json`; of other runs, only finished ones."""
    row = folder.run
    found: dict[str, Any] = {"data": data_digest(row.data, separate_seeds(row), now)}
    source = row.initialization.init_from if isinstance(row, Run) else None
    if source is not None and not isinstance(source, Run):
        found["weights"] = digest(jax.device_get(load_pretrained(row)))
    others = [RunDirectory(folder.path.parent, one) for one in starts_of(row)]
    done = [other for other in others if other.finished()]
    results = {other.run.name: other.result() for other in done}
    digests = ("state_sha256", "selected_sha256")
    found["runs"] = {name: "".join(told[n] for n in digests) for name, told in results.items()}
    return found


def changed(folder: RunDirectory, now: bool = False) -> list[str]:
    """The inputs of a row that have changed since it was trained, as keys of `CHANGED`.

    Inputs that older results did not record count as unchanged.

    Raises:
      BadInput: if the data cannot be read.
    """
    there = folder.read("run.json") or {}
    if not CHANGED.keys() & there.keys():
        return []
    new = facts(folder, now)
    other = [n for n in ("data", "weights") if there.get(n, new.get(n)) != new.get(n)]
    was = there.get("runs", {})
    anew = any(was.get(name, state) != state for name, state in new["runs"].items())
    return other + ["runs"] * anew


def check(folder: RunDirectory, now: bool = False) -> None:
    """Rejects the contents of a row's folder if its inputs have changed.

    If the data of a finished row cannot be read any more, it warns and accepts the row.

    Raises:
      BadInput: naming the row and the changed inputs.
    """
    name = folder.run.name
    try:
        found = changed(folder, now)
    except (BadInput, ImportError) as wrong:
        if not folder.finished():
            raise
        text = f"{name!r} is finished, and whether its data changed since cannot be told"
        print(f"warning: {text}: {wrong}", file=sys.stderr)
        return
    if found:
        why = " and ".join(CHANGED[each] for each in found)
        raise BadInput(
            f"{folder.path} has what was trained before of {name!r}, and {why}; give --out another "
            "folder, or --fresh to set the old one aside and train anew"
        )


def progress_of(folder: RunDirectory) -> str:
    """The progress of a folder's row, as text."""
    try:
        there = folder.read("run.json")
        if there is None:
            return "not begun"
        if there["fingerprint"] != folder.fingerprint:
            return f"changed (was {there['fingerprint'][:8]})"
        steps = [record["step"] for record in folder.records()]
    except BadInput:
        return "damaged"
    done = "done" if folder.finished() else "begun"
    if done == "begun" and isinstance(folder.run, Run):
        done = f"step {max(steps, default=0)} of {folder.run.steps}"
    try:
        return ", ".join([done, *(f"{name} changed" for name in changed(folder))])
    except (BadInput, ImportError):
        return f"{done}, data unreadable"
