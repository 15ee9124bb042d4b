"""Checks that a run may resume from a checkpoint: same run, and no measurements lost."""

from collections.abc import Callable, Mapping
from typing import Any

from mtl_jax.core.validation import BadInput
from mtl_jax.storage.processes import fetch, on_first
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import TrainState


def checkpoint_identity(folder: RunDirectory, step: int) -> dict[str, Any]:
    """The identity of a checkpoint at a step: fingerprint, data digest, and metrics so far."""
    data = (folder.read("run.json") or {}).get("data")
    return {"fingerprint": folder.fingerprint, "data": data, "metrics": folder.records_digest(step)}


Restored = tuple[TrainState, dict, dict[str, Any]]  # State, candidates and note.


def resumable(
    folder: RunDirectory, restored: Restored | None, warn: Callable[[str], None]
) -> Restored | None:
    """Returns the restored checkpoint if the run may resume from it, else None to start over.

    If `metrics.jsonl` does not contain every evaluation up to the checkpoint unchanged, it and the
    checkpoints are set aside, and `warn` is called.

    Args:
      folder: the folder of the run, already claimed.
      restored: the restored checkpoint, or None if there is none.
      warn: called with warning messages.

    Raises:
      BadInput: for a checkpoint of another run, or of this run on other data.
    """
    step, note = (0, None) if restored is None else (step_of(restored[0]), restored[2])
    return restored if on_first(lambda: is_resumable(folder, step, note, warn)) else None


def is_resumable(
    folder: RunDirectory, step: int, note: Mapping[str, Any] | None, warn: Callable[[str], None]
) -> bool:
    """Whether a run may resume from the checkpoint of a step, as in `resumable`.

    Args:
      folder: the folder of the run.
      step: the step.
      note: the note of the checkpoint; None without one.
      warn: called with warning messages.
    """
    if note is not None:
        current = checkpoint_identity(folder, step)
        # Older checkpoints do not store these.
        stored = [n for n in ("fingerprint", "data") if None not in (note.get(n), current[n])]
        for name in (n for n in stored if note[n] != current[n]):
            raise BadInput(
                f"{folder.checkpoints / str(step)} is a checkpoint of another run ({name} "
                f"{note[name][:16]}, now {current[name][:16]}); --fresh sets the folder aside"
            )
        metrics = current["metrics"]
        if metrics is None or note.get("metrics", metrics) != metrics:
            aside = " and ".join(folder.set_progress_aside())
            warn(
                f"run {folder.run.name!r} begins anew: its metrics.jsonl does not hold every "
                f"evaluation up to step {step}, as they were measured; {aside} keeps what there was"
            )
            step, note = 0, None
    folder.add_history(step)
    return note is not None


def step_of(state: TrainState) -> int:
    """The number of steps that a state has been trained for."""
    return int(fetch(state.step)[0])
