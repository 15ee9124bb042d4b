"""Parameters of one of our runs or exported models, as tensors."""

import contextlib
import hashlib
import pathlib
from collections.abc import Generator

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from mtl_jax.core.schema import BATCH_STATS, EMA, PARAMS, require_schema
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained.name_map import NameMap, NameRule

PARTS = (PARAMS, EMA, BATCH_STATS)  # The parts of a state that can be loaded.


def read_run(folder: pathlib.Path, seed: str) -> dict[str, np.ndarray]:
    """Reads one seed of the parameters selected by validation and of a run's last checkpoint.

    Args:
      folder: folder of the run, `results/EXPERIMENT/RUN`.
      seed: its index among the seeds of the run, from 0.

    Returns:
      From the last checkpoint parameters `params/...`, averaged ones `ema/...` and running
      statistics `batch_stats/...`; for a finished run also `selected/params/...` and
      `selected/batch_stats/...`.

    Raises:
      BadInput: if there is no finished checkpoint, its files differ from those that were written
        (Orbax would load them silently), or the run has no such seed.
    """
    checksums = sorted(
        (folder / "checkpoints").glob("*.sha256"), key=lambda checksum: int(checksum.stem)
    )
    if not checksums:
        raise BadInput(f"weights {str(folder)!r} must be a run with a finished checkpoint")
    tree = read_intact(folder, checksums[-1].with_suffix(""))
    trees = {part: tree[part] for part in PARTS}
    if (folder / "selected.sha256").is_file():
        trees["selected"] = read_intact(folder, folder / "selected")
    arrays = flatten_dict(trees, sep="/")
    count = min(len(array) for array in arrays.values())
    if seed not in map(str, range(count)):
        raise BadInput(f"weights {str(folder)!r}: part= must be a seed below {count}, not {seed!r}")
    return {name: np.asarray(array)[int(seed)] for name, array in arrays.items()}


def read_intact(folder: pathlib.Path, path: pathlib.Path) -> dict:
    """A tree written by a run, if its files are unmodified."""
    checksum = path.with_name(f"{path.name}.sha256")
    if not path.is_dir() or checksum.read_text(encoding="utf-8") != hash_of_files(path):
        raise BadInput(f"weights {str(folder)!r}: checkpoint {path.name} must be undamaged")
    from orbax.checkpoint import v1 as ocp

    absolute = path.absolute()
    with alone():
        metadata = ocp.checkpointables_metadata(str(absolute)).custom_metadata
    require_schema(metadata if isinstance(metadata, dict) else None, str(absolute))
    return read_host_tree(absolute, "state")


def read_host_tree(path: pathlib.Path, name: str) -> dict:
    """A tree of a checkpoint as nested dicts of host arrays, whatever devices it was saved from."""
    from orbax.checkpoint import v1 as ocp

    with alone():
        shapes = ocp.checkpointables_metadata(str(path)).metadata[name]
        like = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), shapes)
        return ocp.load(str(path), like, checkpointable_name=name)


@contextlib.contextmanager
def alone() -> Generator[None]:
    """Lets Orbax read in this process without waiting for others."""
    from orbax.checkpoint import v1 as ocp

    context, own = ocp.Context(), jax.process_index()
    context.multiprocessing.primary_host, context.multiprocessing.active_processes = own, {own}
    with context:
        yield


def hash_of_files(path: pathlib.Path) -> str:
    """SHA-256 over the names and contents of all files below a folder, as stored in `.sha256` files."""
    digest = hashlib.sha256()
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        digest.update(str(file.relative_to(path)).encode())
        with open(file, "rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


HEAD = NameRule("head/(kernel|bias)", r"head/\1")


def names_of(name: str, params: str, stats: str, others: str) -> NameMap:
    """Names of the parameters below one path and the statistics below another."""
    return NameMap(
        name,
        (
            NameRule(rf"{params}/shared/(.*)", r"params/\1"),
            NameRule(rf"{stats}/heads/.*", None),
            NameRule(rf"{stats}/(.*)", r"batch_stats/\1"),
            HEAD,
            NameRule(rf"(?:{params}/tasks|{others})/.*", None),
        ),
    )


# With rename=((r"selected/params/tasks/heads/TASK/(.*)", r"head/\1"),) a head is loaded too.
RUN_CHECKPOINT = names_of(
    "an own run", "selected/params", "selected/batch_stats", "params|ema|batch_stats"
)
OWN_RUN_LAST = names_of("an own run's last step", "params", "batch_stats", "ema|selected")
OWN_RUN_AVERAGED = names_of(
    "an own run's last step, averaged", "ema", "batch_stats", "params|selected"
)
EXPORTED = names_of("an exported model", "params", "batch_stats", "ema")
