"""Saving and loading the trained parameters of a run."""

from typing import Any

import jax

from mtl_jax.config.run import Run
from mtl_jax.core.schema import BATCH_STATS, EMA, PARAMS
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import Parameters
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.sealed import read_sealed, write_sealed

SELECTED = "selected"  # Name of the folder, next to that of the checkpoints.


def write_selected(folder: RunDirectory, model: dict[str, Any]) -> None:
    """Writes the selected parameters and batch statistics `[S, ...]`, possibly by task."""
    write_sealed(folder.path.absolute() / SELECTED, {"state": model}, {})


def load_trained_params(
    run: Run, folder: RunDirectory, parameters: Parameters, task: str, why: str
) -> tuple[Any, Any]:
    """Loads parameters and batch statistics `[S, ...]` of a finished run, as host arrays.

    Args:
      run: a finished run.
      folder: its folder.
      parameters: which parameters to load.
      task: the task, if the run selects per task.
      why: why they are loaded, for the error message.

    Raises:
      BadInput: if the files are missing or damaged.
    """
    try:
        if parameters != "selected":
            last_step = (folder.result() or {}).get("last_step", run.steps)
            tree = CheckpointManager(folder.checkpoints, print).load(last_step)
            return tree[EMA if parameters == "ema" else PARAMS], tree[BATCH_STATS]
        tree = read_sealed(folder.path.absolute() / SELECTED)
    except ValueError as error:
        raise BadInput(f"{error}; {why}, --fresh trains it again") from None
    model = tree[task] if run.evaluation.selection == "per_task" else tree
    return model[PARAMS], model[BATCH_STATS]


def load_first_seed(run: Run, folder: RunDirectory, task: str, why: str) -> tuple[Any, Any]:
    """Loads the selected parameters and batch statistics of a finished run's first seed.

    Args:
      run: a finished run.
      folder: its folder.
      task: the task, if the run selects per task.
      why: why they are loaded, for the error message.

    Raises:
      BadInput: if the files are missing or damaged.
    """
    return jax.tree.map(
        lambda leaf: leaf[0], load_trained_params(run, folder, "selected", task, why)
    )
