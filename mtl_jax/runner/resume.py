"""Checks that a run may resume from a checkpoint: same run, and no measurements lost."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.storage.run_directory import RunDirectory


def identity_note(folder: RunDirectory, step: int) -> dict[str, Any]:
    """The identity of a checkpoint at a step: fingerprint, data digest, and metrics so far."""
    data = (folder.read("run.json") or {}).get("data")
    return {"fingerprint": folder.fingerprint, "data": data, "metrics": folder.records_digest(step)}


def accepted(folder: RunDirectory, found: Any, warn: Callable[[str], None]) -> Any:
    """Returns the restored checkpoint if the run may resume from it, else None to start over.

    If `metrics.jsonl` does not contain every evaluation up to the checkpoint unchanged, it and the
    checkpoints are set aside, and `warn` is called.

    Args:
      folder: the folder of the run, already claimed.
      found: the restored checkpoint, whose first item is the state and last item the note; None
        if there is none.
      warn: called with warning messages.

    Raises:
      BadInput: for a checkpoint of another run, or of this run on other data.
    """
    step = 0
    if found is not None:
        step, note = int(np.asarray(found[0].step)[0]), found[-1]
        now = identity_note(folder, step)
        # Older checkpoints do not store these.
        other = [n for n in ("fingerprint", "data") if None not in (note.get(n), now[n])]
        for name in (n for n in other if note[n] != now[n]):
            raise BadInput(
                f"{folder.checkpoints / str(step)} is a checkpoint of another run ({name} "
                f"{note[name][:16]}, now {now[name][:16]}); --fresh sets the folder aside"
            )
        if now["metrics"] is None or note.get("metrics", now["metrics"]) != now["metrics"]:
            aside = " and ".join(folder.set_progress_aside())
            warn(
                f"run {folder.run.name!r} begins anew: its metrics.jsonl does not hold every "
                f"evaluation up to step {step}, as they were measured; {aside} keeps what there was"
            )
            step, found = 0, None
    folder.add_history(step)
    return found
