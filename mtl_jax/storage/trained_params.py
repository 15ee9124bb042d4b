"""The parameters that a finished run left on disk."""

from typing import Any

from mtl_jax.config.run import Run
from mtl_jax.core.schema import BATCH_STATS, EMA, PARAMS
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import Parameters
from mtl_jax.storage.checkpoint import Checkpoints, read_sealed, write_sealed
from mtl_jax.storage.run_directory import Folder

SELECTED = "selected"  # Name of the folder, beside that of the checkpoints.


def write_selected(folder: Folder, model: dict[str, Any]) -> None:
    """Writes what validation selected: parameters and statistics `[S, ...]`, or those by task."""
    write_sealed(folder.path.absolute() / SELECTED, {"state": model}, {})


def trained(
    run: Run, folder: Folder, parameters: Parameters, task: str, why: str
) -> tuple[Any, Any]:
    """Parameters and statistics `[S, ...]` of a finished run, as host arrays.

    Args:
      run: a finished one.
      folder: its folder.
      parameters: which of them.
      task: for which task, where a run selects for each task.
      why: they are read, for the error.

    Raises:
      BadInput: if what was written is missing or damaged.
    """
    try:
        if parameters != "selected":
            tree = Checkpoints(folder.checkpoints, print).tree(run.steps)
            return tree[EMA if parameters == "ema" else PARAMS], tree[BATCH_STATS]
        tree = read_sealed(folder.path.absolute() / SELECTED)
    except ValueError as wrong:
        raise BadInput(f"{wrong}; {why}, --fresh trains it again") from None
    model = tree[task] if run.selection == "per_task" else tree
    return model[PARAMS], model[BATCH_STATS]
