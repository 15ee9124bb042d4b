"""What a reader of a run's numbers should know of its labels, before anything is trained."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.validation import few
from mtl_jax.data.labels import classes_among, has_label
from mtl_jax.storage.loading import seed_axis
from mtl_jax.train import Given, Known


def label_notes(
    run: Run,
    task: str,
    labels: Mapping[str, np.ndarray],
    known: Known,
    seeds: tuple[int, ...],
) -> tuple[str, ...]:
    """Says if a seed trains without a class that the data has, or without any label of a task.

    Args:
      run: what is trained.
      task: name of the task.
      labels: its labels in each part of the data `[N, ...]`.
      known: which of those of train each seed trains on, arrays `[S, L]`.
      seeds: S of them.

    Returns:
      One line, or none.
    """
    parts = {part: classes_among(values) for part, values in labels.items()}
    classes = set()
    if all(part is not None for part in parts.values()):
        classes = set(np.unique(np.concatenate([*parts.values()])).tolist()) - {-1}
    missed, lacking = set(), []
    for seed, index, mask in zip(seeds, known.index, known.mask[task], strict=True):
        lost = classes - set(parts["train"][index[mask]].tolist()) if classes else set()
        if lost or not mask.any():
            missed |= lost
            lacking.append(seed)
    if lacking:
        what = f"labels of {'class' if len(missed) == 1 else 'classes'} {listed(missed)}"
        what = what if missed else "labels"
        where = f"seed{'' if len(lacking) == 1 else 's'} {listed(lacking)}"
        return (f"run {run.name!r}: task {task!r} is trained without {what} in {where}",)
    if len(classes) == 1:
        return (f"run {run.name!r}: all labels of task {task!r} are of class {listed(classes)}",)
    return ()


def selection_notes(run: Run, validation: dict[str, dict[str, np.ndarray]]) -> tuple[str, ...]:
    """Says which tasks cannot take part in the selection, since validation has no label of them.

    Args:
      run: what is trained.
      validation: arrays of the validation part by stream.
    """
    if run.selection.startswith("last"):
        return ()
    labels = {task: each for arrays in validation.values() for task, each in arrays.items()}
    asked = [task.name for task in run.tasks if task.selects]
    none = [name for name in asked if not has_label(labels[name]).any()]
    if not none:
        return ()
    names = ", ".join(map(repr, none))
    others = "the others select" if len(none) < len(asked) else "the last step is reported"
    return (f"run {run.name!r}: validation has no label of {names}, so {others}",)


def label_counts(run: Run, given: Given, splits: dict[str, Any]) -> dict[str, list[int]]:
    """By task, labels in training (of the seed that has most), validation and test."""
    counts, axis = {}, seed_axis(run)
    for task in run.tasks:
        where = next(n for n, s in given.streams.items() if task.name in s.labels)
        known = given.streams[where].known.mask[task.name].sum(-1).max()
        judged = [splits[part][where][task.name] for part in ("validation", "test")]
        judged = [has_label(each if axis is None else each[0]).sum() for each in judged]
        counts[task.name] = [int(known), *map(int, judged)]
    return counts


def listed(numbers: Iterable[int], most: int = 10) -> str:
    """Numbers in rising order with commas between them, the first of many."""
    return few([str(number) for number in sorted(numbers)], most)
