"""The last checkpoint of an own run, as a file of tensors."""

import hashlib
import pathlib

import numpy as np
from flax.traverse_util import flatten_dict

from mtl_jax.checks import BadInput
from mtl_jax.nets.pretrained.names import Line, Names

PARTS = ("params", "ema", "stats")  # of a state, what can be taken over


def read_run(folder: pathlib.Path, seed: str) -> dict[str, np.ndarray]:
    """Reads one seed's part of the last checkpoint of a run.

    Args:
      folder: of the run, `results/EXPERIMENT/RUN`.
      seed: its number among those of the run, counted from 0.

    Returns:
      Parameters `params/...`, averaged ones `ema/...` and running statistics `stats/...`.

    Raises:
      BadInput: if there is no finished checkpoint, its files are not those that were written
        (Orbax would load them silently), or the run has no such seed.
    """
    seals = sorted((folder / "checkpoints").glob("*.sha256"), key=lambda seal: int(seal.stem))
    if not seals:
        raise BadInput(f"weights {str(folder)!r} must be a run with a finished checkpoint")
    path = seals[-1].with_suffix("").absolute()
    if not path.is_dir() or seals[-1].read_text(encoding="utf-8") != hash_of_files(path):
        raise BadInput(f"weights {str(folder)!r}: checkpoint {path.name} must be undamaged")
    from orbax.checkpoint import v1 as ocp

    tree = ocp.load(path)
    arrays = flatten_dict({part: tree[part] for part in PARTS}, sep="/")
    count = min(len(array) for array in arrays.values())
    if seed not in map(str, range(count)):
        raise BadInput(f"weights {str(folder)!r}: part= must be a seed below {count}, not {seed!r}")
    return {name: np.asarray(array)[int(seed)] for name, array in arrays.items()}


def hash_of_files(path: pathlib.Path) -> str:
    """SHA-256 over the names and contents of all files below a folder, as checkpoints are sealed."""
    total = hashlib.sha256()
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        total.update(str(file.relative_to(path)).encode())
        with open(file, "rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


COMMON = (Line(r"stats/(.*)", r"batch_stats/\1"), Line("head/(kernel|bias)", r"head/\1"))
# With rename=((r"params/tasks/heads/TASK/(.*)", r"head/\1"),) a head is taken too.
OWN_RUN = Names(
    "an own run",
    (
        Line(r"params/shared/(.*)", r"params/\1"),
        *COMMON,
        Line(r"(?:params/tasks|ema)/.*", None),
    ),
)
OWN_RUN_AVERAGED = Names(
    "an own run, averaged",
    (
        Line(r"ema/shared/(.*)", r"params/\1"),
        *COMMON,
        Line(r"(?:ema/tasks|params)/.*", None),
    ),
)
