"""Whether a run may go on from a checkpoint: it is the run's own, and nothing measured is lost."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.storage.run_directory import Folder


def identity_note(folder: Folder, step: int) -> dict[str, Any]:
    """What a checkpoint after a step says of its run: whose it is, its data, what was measured."""
    data = (folder.read("run.json") or {}).get("data")
    return {"fingerprint": folder.fingerprint, "data": data, "metrics": folder.measured(step)}


def accepted(folder: Folder, found: Any, warn: Callable[[str], None]) -> Any:
    """What was restored, if the run may go on from it, else None: it begins anew.

    If `metrics.jsonl` does not hold every evaluation up to the checkpoint, as it was measured, it
    and the checkpoints are set aside, and `warn` is told.

    Args:
      folder: of the run, claimed already.
      found: state, and at last note, of a checkpoint; None is none.
      warn: told what a reader should know.

    Raises:
      BadInput: for a checkpoint of another run, or of this run on other data.
    """
    step = 0
    if found is not None:
        step, note = int(np.asarray(found[0].step)[0]), found[-1]
        now = identity_note(folder, step)
        # Older checkpoints do not say these.
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
