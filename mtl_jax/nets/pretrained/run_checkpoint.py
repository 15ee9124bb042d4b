"""The parameters of an own run, selected by validation or of its last step, as tensors."""

import hashlib
import pathlib

import numpy as np
from flax.traverse_util import flatten_dict

from mtl_jax.core.schema import BATCH_STATS, EMA, PARAMS, require_schema
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained.name_map import Line, Names

PARTS = (PARAMS, EMA, BATCH_STATS)  # of a state, what can be taken over


def read_run(folder: pathlib.Path, seed: str) -> dict[str, np.ndarray]:
    """Reads one seed's part of what validation selected, and of the last checkpoint of a run.

    Args:
      folder: of the run, `results/EXPERIMENT/RUN`.
      seed: its number among those of the run, counted from 0.

    Returns:
      Of the last checkpoint parameters `params/...`, averaged ones `ema/...` and running
      statistics `batch_stats/...`; of a finished run also `selected/params/...` and
      `selected/batch_stats/...`.

    Raises:
      BadInput: if there is no finished checkpoint, its files are not those that were written
        (Orbax would load them silently), or the run has no such seed.
    """
    seals = sorted((folder / "checkpoints").glob("*.sha256"), key=lambda seal: int(seal.stem))
    if not seals:
        raise BadInput(f"weights {str(folder)!r} must be a run with a finished checkpoint")
    tree = read_whole(folder, seals[-1].with_suffix(""))
    trees = {part: tree[part] for part in PARTS}
    if (folder / "selected.sha256").is_file():
        trees["selected"] = read_whole(folder, folder / "selected")
    arrays = flatten_dict(trees, sep="/")
    count = min(len(array) for array in arrays.values())
    if seed not in map(str, range(count)):
        raise BadInput(f"weights {str(folder)!r}: part= must be a seed below {count}, not {seed!r}")
    return {name: np.asarray(array)[int(seed)] for name, array in arrays.items()}


def read_whole(folder: pathlib.Path, path: pathlib.Path) -> dict:
    """A tree that a run wrote, if its files are those that were written."""
    seal = path.with_name(f"{path.name}.sha256")
    if not path.is_dir() or seal.read_text(encoding="utf-8") != hash_of_files(path):
        raise BadInput(f"weights {str(folder)!r}: checkpoint {path.name} must be undamaged")
    from orbax.checkpoint import v1 as ocp

    path = path.absolute()
    require_schema(ocp.checkpointables_metadata(path).custom_metadata, path)
    return ocp.load(path, checkpointable_name="state")


def hash_of_files(path: pathlib.Path) -> str:
    """SHA-256 over the names and contents of all files below a folder, as checkpoints are sealed."""
    total = hashlib.sha256()
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        total.update(str(file.relative_to(path)).encode())
        with open(file, "rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


HEAD = Line("head/(kernel|bias)", r"head/\1")


def names_of(name: str, params: str, stats: str, others: str) -> Names:
    """Names of the parameters below one path and the statistics below another."""
    return Names(
        name,
        (
            Line(rf"{params}/shared/(.*)", r"params/\1"),
            Line(rf"{stats}/(.*)", r"batch_stats/\1"),
            HEAD,
            Line(rf"(?:{params}/tasks|{others})/.*", None),
        ),
    )


# With rename=((r"selected/params/tasks/heads/TASK/(.*)", r"head/\1"),) a head is taken too.
OWN_RUN = names_of(
    "an own run", "selected/params", "selected/batch_stats", "params|ema|batch_stats"
)
OWN_RUN_LAST = names_of("an own run's last step", "params", "batch_stats", "ema|selected")
OWN_RUN_AVERAGED = names_of(
    "an own run's last step, averaged", "ema", "batch_stats", "params|selected"
)
