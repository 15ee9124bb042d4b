"""Reads a run's data, draws its labels by seed, and refuses what does not fit."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from mtl_jax.checks import BadInput, require
from mtl_jax.data import few_labels
from mtl_jax.protocols import Source, Splits
from mtl_jax.run import Run, Task
from mtl_jax.train import Given


class Prepared(NamedTuple):
    """Host arrays of a run."""

    given: Given
    splits: dict[str, Any]  # what is judged: validation and test


def described(run: Run) -> Given:
    """Shapes and types of what a run trains on; no data is read.

    Where all labels are taken, each example counts as labelled.

    Raises:
      BadInput: if a task's label is missing from the data, or more labels are asked for than
        there are examples.
    """
    shapes = run.data.shapes()
    for task in run.tasks:
        check_there(run, task, "train", shapes)
    total = shapes["image"].shape[0]
    rule = f"must be at most {total}, the training examples there are"
    require(run.labelled is None or run.labelled <= total, run, "labelled", rule, run.labelled)
    rows = (run.seeds, total if run.labelled is None else run.labelled)
    return Given(
        image=shapes["image"],
        labels={task.name: shapes[task.name] for task in run.tasks},
        index=jax.ShapeDtypeStruct(rows, np.int32),
        mask={task.name: jax.ShapeDtypeStruct(rows, bool) for task in run.tasks},
        anchor=None,
    )


@functools.lru_cache(maxsize=4)
def load(source: Source) -> Splits:
    """Reads a source once, however many runs use it."""
    return source.load()


def prepare(run: Run) -> Prepared:
    """Reads the data of a run and draws which examples have labels, for every seed.

    Raises:
      BadInput: if a task's label is missing from the data or out of range, or if there are
        fewer labels than asked for.
    """
    splits = load(run.data)
    for task in run.tasks:
        for part, arrays in splits._asdict().items():
            check_labels(run, task, part, arrays)
    names = [task.name for task in run.tasks]
    labels = {name: splits.train[name] for name in names}
    try:
        drawn = [
            few_labels(labels, run.labelled, run.partial, seed)
            for seed in range(run.first_seed, run.first_seed + run.seeds)
        ]
    except BadInput as wrong:
        raise BadInput(f"run {run.name!r}: {wrong}") from None
    index, mask = jax.tree.map(lambda *each: np.stack(each), *drawn)
    judged = {
        part: {name: getattr(splits, part)[name] for name in ("image", *names)}
        for part in ("validation", "test")
    }
    return Prepared(Given(splits.train["image"], labels, index, mask, None), judged)


def check_labels(run: Run, task: Task, part: str, arrays) -> None:
    """Requires a task's label in a part of the data, and its classes within the outputs."""
    check_there(run, task, part, arrays)
    labels = arrays[task.name]
    if (
        np.issubdtype(labels.dtype, np.integer)
        and not -1 <= labels.min() <= labels.max() < task.outputs
    ):
        wrong = labels.max() if labels.max() >= task.outputs else labels.min()
        raise BadInput(
            f"run {run.name!r}: task {task.name!r} has outputs={task.outputs}, so classes must lie in 0..{task.outputs - 1} "
            f"(-1 where missing), but the {part} data has class {wrong}"
        )


def check_there(run: Run, task: Task, part: str, arrays) -> None:
    """Requires a task's label in a part of the data."""
    if task.name not in arrays:
        there = ", ".join(sorted(set(arrays) - {"image"})) or "none"
        raise BadInput(
            f"run {run.name!r}: task {task.name!r} has no label in the {part} data "
            f"(labels there: {there})"
        )
