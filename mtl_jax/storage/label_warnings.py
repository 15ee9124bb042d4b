"""Warnings about the labels of a run, issued before training."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.validation import few
from mtl_jax.data.labels import classes_among, has_label
from mtl_jax.storage.loading import seed_axis
from mtl_jax.train import LabelledSubset, TrainData


def label_notes(
    run: Run,
    task: str,
    labels: Mapping[str, np.ndarray],
    known: LabelledSubset,
    seeds: tuple[int, ...],
) -> tuple[str, ...]:
    """Warns if a seed trains without some class of the data, or without any label of a task.

    Args:
      run: the run.
      task: name of the task.
      labels: its labels in each split of the data, `[N, ...]`.
      known: the training labels used by each seed, arrays `[S, L]`.
      seeds: the S seeds.

    Returns:
      At most one line.
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
    """Warns of tasks without validation labels, which cannot take part in the selection.

    Args:
      run: the run.
      validation: arrays of the validation split, by stream.
    """
    if run.evaluation.selection.startswith("last"):
        return ()
    labels = {task: each for arrays in validation.values() for task, each in arrays.items()}
    asked = [task.name for task in run.tasks if task.selects]
    none = [name for name in asked if not has_label(labels[name]).any()]
    if not none:
        return ()
    names = ", ".join(map(repr, none))
    others = "the others select" if len(none) < len(asked) else "the last step is reported"
    return (f"run {run.name!r}: validation has no label of {names}, so {others}",)


def label_counts(run: Run, given: TrainData, splits: dict[str, Any]) -> dict[str, list[int]]:
    """Number of labels in training (maximum over seeds), validation and test, by task."""
    counts, axis = {}, seed_axis(run)
    for task in run.tasks:
        where = next(n for n, s in given.streams.items() if task.name in s.labels)
        known = given.streams[where].labelled.mask[task.name].sum(-1).max()
        judged = [splits[part][where][task.name] for part in ("validation", "test")]
        judged = [has_label(each if axis is None else each[0]).sum() for each in judged]
        counts[task.name] = [int(known), *map(int, judged)]
    return counts


def listed(numbers: Iterable[int], most: int = 10) -> str:
    """Formats sorted numbers, separated by commas and truncated after `most`."""
    return few([str(number) for number in sorted(numbers)], most)
