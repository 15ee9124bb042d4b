"""What a reader of a run's numbers should know of its labels, before anything is trained."""

from collections.abc import Iterable, Mapping

import numpy as np

from mtl_jax.data.labels import classes_among
from mtl_jax.run import Run
from mtl_jax.train import Known


def label_notes(
    run: Run, task: str, labels: Mapping[str, np.ndarray], known: Known
) -> tuple[str, ...]:
    """Says if a seed trains without a class that the data has, or without any label of a task.

    Args:
      run: what is trained.
      task: name of the task.
      labels: its labels in each part of the data `[N, ...]`.
      known: which of those of train each seed trains on, arrays `[S, L]`.

    Returns:
      One line, or none.
    """
    parts = {part: classes_among(values) for part, values in labels.items()}
    classes = set()
    if all(part is not None for part in parts.values()):
        classes = set(np.unique(np.concatenate([*parts.values()])).tolist()) - {-1}
    missed, seeds = set(), []
    for seed, (index, mask) in enumerate(zip(known.index, known.mask[task], strict=True)):
        lost = classes - set(parts["train"][index[mask]].tolist()) if classes else set()
        if lost or not mask.any():
            missed |= lost
            seeds.append(run.first_seed + seed)
    if seeds:
        what = f"labels of {'class' if len(missed) == 1 else 'classes'} {listed(missed)}"
        what = what if missed else "labels"
        where = f"seed{'' if len(seeds) == 1 else 's'} {listed(seeds)}"
        return (f"run {run.name!r}: task {task!r} is trained without {what} in {where}",)
    if len(classes) == 1:
        return (f"run {run.name!r}: all labels of task {task!r} are of class {listed(classes)}",)
    return ()


def listed(numbers: Iterable[int], most: int = 10) -> str:
    """Numbers in rising order with commas between them, the first of many."""
    numbers = sorted(numbers)
    rest = len(numbers) - most
    return ", ".join(map(str, numbers[:most])) + (f" and {rest} more" if rest > 0 else "")
