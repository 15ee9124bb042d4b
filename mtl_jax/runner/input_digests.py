"""What a row was trained on: digests of its data, of weights, and of the runs it starts from."""

import hashlib
import sys
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run, needed
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.core.protocols import Source, Splits
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.init_params import from_file
from mtl_jax.storage.checkpoint import digest
from mtl_jax.storage.loading import apart, load
from mtl_jax.storage.run_directory import Folder

Row = Run | Classic
CHANGED = {
    "data": "its data are other ones now",
    "weights": "the weights that it starts from are other ones now",
    "runs": "a run that it starts from or learns from was trained anew since",
}


# By source and seeds, each with the first array that it is of.
digests: dict[tuple[Source, tuple[int, ...]], tuple[weakref.ref, str]] = {}


def data_digest(source: Source, seeds: tuple[int, ...] = (), now: bool = False) -> str:
    """SHA-256 over part, name, type, shape and bytes of every array that a source loads.

    It is computed once for each source, however many rows use it.

    Args:
      source: of the data.
      seeds: those that have data of their own.
      now: whether it must be of what the source gives now, which a long launch may read again.
    """
    known = digests.get((source, seeds))
    if known is not None and not (now and known[0]() is not first_array(load(source, seeds))):
        return known[1]
    data = load(source, seeds)
    total = hashlib.sha256()
    for path, array in sorted(leaves(named(data)), key=lambda leaf: leaf[0]):
        flat = np.ascontiguousarray(array)
        total.update(f"{path}:{flat.dtype}{flat.shape};".encode())
        # Objects, such as names, are but places in the memory.
        if flat.dtype.hasobject:
            total.update(repr(flat.tolist()).encode())
        else:
            total.update(flat.reshape(-1).view(np.uint8))
    digests[source, seeds] = weakref.ref(first_array(data)), total.hexdigest()
    return digests[source, seeds][1]


def named(data: tuple[Splits, ...]) -> dict[str, Any]:
    """The parts by name, of several seeds by their place too."""
    each = {str(place): splits._asdict() for place, splits in enumerate(data)}
    return each if len(data) > 1 else each["0"]


def first_array(data: tuple[Splits, ...]) -> np.ndarray:
    """One of the arrays, by which two readings are told apart."""
    return next(array for _, array in leaves(named(data)) if isinstance(array, np.ndarray))


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays of nested dicts, each with its path."""
    for name, each in tree.items():
        if isinstance(each, Mapping):
            yield from leaves(each, f"{path}{name}/")
        else:
            yield f"{path}{name}", each


def forget() -> None:
    """Reads data anew when they are needed next: files may have changed since."""
    load.cache_clear()
    digests.clear()


def starts_of(row: Row) -> tuple[Run, ...]:
    """The runs that must be finished before a row begins."""
    if isinstance(row, Run):
        return needed(row)
    return () if row.features is None else (row.features,)


def facts(folder: Folder, now: bool = False) -> dict[str, Any]:
    """What `run.json` says of what a row is trained on; of other runs, those that are finished."""
    row = folder.run
    found: dict[str, Any] = {"data": data_digest(row.data, apart(row), now)}
    if isinstance(row, Run) and row.source is not None and not isinstance(row.source, Run):
        found["weights"] = digest(jax.device_get(from_file(row)))
    others = [Folder(folder.path.parent, one) for one in starts_of(row)]
    done = [other for other in others if other.finished()]
    results = {other.run.name: other.result() for other in done}
    digests = ("state_sha256", "selected_sha256")
    found["runs"] = {name: "".join(told[n] for n in digests) for name, told in results.items()}
    return found


def changed(folder: Folder, now: bool = False) -> list[str]:
    """What a row was trained on that is not what it was: names of `CHANGED`; mostly none.

    What older results do not tell counts as the same.

    Raises:
      BadInput: if its data cannot be read.
    """
    there = folder.read("run.json") or {}
    if not CHANGED.keys() & there.keys():
        return []
    new = facts(folder, now)
    other = [n for n in ("data", "weights") if there.get(n, new.get(n)) != new.get(n)]
    was = there.get("runs", {})
    anew = any(was.get(name, state) != state for name, state in new["runs"].items())
    return other + ["runs"] * anew


def check(folder: Folder, now: bool = False) -> None:
    """Refuses what is in a row's folder if it was trained on other things.

    Where a finished row's data cannot be read any more, that is said, and the row stands.

    Raises:
      BadInput: naming the row and what has changed.
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


def progress_of(folder: Folder) -> str:
    """How far the row of a folder is."""
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
