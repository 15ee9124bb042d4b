"""Warnings about the labels of a run, issued before training."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import few
from mtl_jax.data.labels import classes_among, has_label
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.streams import labels_of
from mtl_jax.train import LabelledSubset, TrainData


def label_notes(
    run: Run,
    task: str,
    labels: Mapping[str, np.ndarray],
    labelled: LabelledSubset,
    seeds: tuple[int, ...],
) -> tuple[str, ...]:
    """Warns if a seed trains without some class of the data, or without any label of a task.

    Args:
      run: the run.
      task: name of the task.
      labels: its labels in each split of the data, `[N, ...]`.
      labelled: the training labels used by each seed, arrays `[S, L]`.
      seeds: the S seeds.

    Returns:
      At most one line.
    """
    by_split = {split: classes_among(values) for split, values in labels.items()}
    discrete = [values for values in by_split.values() if values is not None]
    classes, train = set(), by_split["train"]
    if len(discrete) == len(by_split):
        classes = set(np.unique(np.concatenate(discrete)).tolist()) - {-1}
    missing_classes, affected_seeds = set(), []
    for seed, index, mask in zip(seeds, labelled.index, labelled.mask[task], strict=True):
        missing = classes if train is None else classes - set(train[index[mask]].tolist())
        if missing or not mask.any():
            missing_classes |= missing
            affected_seeds.append(seed)
    if affected_seeds:
        noun = "class" if len(missing_classes) == 1 else "classes"
        of = f" of {noun} {format_numbers(missing_classes)}" if missing_classes else ""
        where = f"seed{'' if len(affected_seeds) == 1 else 's'} {format_numbers(affected_seeds)}"
        return (f"run {run.name!r}: task {task!r} is trained without labels{of} in {where}",)
    if len(classes) == 1:
        return (f"run {run.name!r}: all labels of task {task!r} are of class {min(classes)}",)
    return ()


def selection_notes(
    run: Run, validation: Mapping[str, Mapping[str, np.ndarray]]
) -> tuple[str, ...]:
    """Warns of tasks without validation labels, which cannot take part in the selection.

    Args:
      run: the run.
      validation: arrays of the validation split, by stream.
    """
    if run.evaluation.selection.startswith("last"):
        return ()
    every = [in_memory(labels_of(arrays)) for arrays in validation.values()]
    labels = {name: values for arrays in every for name, values in arrays.items()}
    selecting = [task.name for task in run.tasks if task.selects]
    unlabelled = [name for name in selecting if not has_label(labels[name]).any()]
    if not unlabelled:
        return ()
    names = ", ".join(map(repr, unlabelled))
    some = len(unlabelled) < len(selecting)
    others = "the others select" if some else "the last step is reported"
    return (f"run {run.name!r}: validation has no label of {names}, so {others}",)


def label_counts(run: Run, data: TrainData, splits: Mapping[str, Any]) -> dict[str, list[int]]:
    """Number of labels in training (maximum over seeds), validation and test, by task."""
    counts, axis = {}, seed_axis(run)
    for task in run.tasks:
        name = next(name for name, s in data.streams.items() if task.name in s.labels)
        train = data.streams[name].labelled.mask[task.name].sum(-1).max()
        labels = in_memory({s: splits[s][name][task.name] for s in ("validation", "test")}).values()
        labels = [values if axis is None else values[0] for values in labels]
        counts[task.name] = [int(train), *(int(has_label(values).sum()) for values in labels)]
    return counts


def in_memory(labels: Mapping[str, np.ndarray | Rows]) -> dict[str, np.ndarray]:
    """Labels in memory; in the place of those on disk, whether they are known, without a class."""
    return {
        name: known_maps(values) if isinstance(values, Rows) else values
        for name, values in labels.items()
    }


def known_maps(rows: Rows) -> np.ndarray:
    """Labels int32 `[N, 1, 1]` of 0, or -1 where they are missing as a whole."""
    known = rows.known()
    known = np.ones(len(rows), bool) if known is None else known
    return np.where(known, 0, -1).astype(np.int32)[:, None, None]


def format_numbers(numbers: Iterable[int], max_count: int = 10) -> str:
    """Formats sorted numbers, separated by commas and truncated after `max_count`."""
    return few([str(number) for number in sorted(numbers)], max_count)
