"""Warning of runs whose validation gets worse while their training loss falls."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task

MIN_EVALUATIONS = 8
WINDOW = 4  # A window is this fraction of the evaluations.


class Onset(NamedTuple):
    """Where a task begins to overfit: the best window of its evaluations."""

    first: int  # Step of the first evaluation.
    last: int  # Step of the last evaluation.
    before: float  # Mean of the validation metric over the window, in the unit of tables.
    after: float  # The same over the last window.


def overfitting(run: Run, records: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """A line for the tasks that overfit, as `find_onsets` finds them.

    Args:
      run: the run.
      records: the evaluations by step.
    """
    metrics = {task.name: task.selection_metric.name for task in run.tasks}
    found = [
        f"{task!r} ({metrics[task]} {onset.before:.3g} around steps {onset.first} to "
        f"{onset.last}, {onset.after:.3g} at the end)"
        for task, onset in find_onsets(run, records).items()
    ]
    if not found:
        return []
    return [
        (
            f"overfits: validation gets worse while the training loss falls, of {', '.join(found)}; "
            "consider fewer steps, Evaluation.patience, or more regularization"
        )
    ]


def find_onsets(run: Run, records: Mapping[int, Mapping[str, Any]]) -> dict[str, Onset]:
    """The tasks that overfit, by windows of a quarter of the evaluations, and from where on.

    A task overfits if the mean of its first validation metric over the last window (raw
    parameters, averaged over seeds) is worse than over the best window before it by more than
    twice the standard error of the difference, while its mean training loss is lower.

    Args:
      run: the run.
      records: the evaluations by step.
    """
    steps = sorted(step for step in records if step > 0)
    if len(steps) < MIN_EVALUATIONS:
        return {}
    size, found = len(steps) // WINDOW, {}
    for task in run.tasks:
        values = np.array([validation_metric(records[step], task) for step in steps])
        losses = np.array([np.mean(records[step]["train"][f"loss/{task.name}"]) for step in steps])
        best = best_window(values, size)
        if best is not None and losses[-size:].mean() < losses[best].mean():
            scale = task.selection_metric.scale
            before, after = (abs(values[part].mean()) * scale for part in (best, last(size)))
            found[task.name] = Onset(steps[best.start], steps[best.stop - 1], before, after)
    return found


def validation_metric(record: Mapping[str, Any], task: Task) -> float:
    """The mean of a task's first validation metric over seeds, signed so that higher is better."""
    metric = task.selection_metric
    value = np.mean(record["validation"]["raw"][task.name][metric.name])
    return float(value if metric.higher_is_better else -value)


def last(size: int) -> slice:
    """The last window."""
    return slice(-size, None)


def best_window(values: np.ndarray, size: int) -> slice | None:
    """The best window before the last one, if that is worse beyond its noise; None if not.

    Args:
      values: `[T]`, higher is better.
      size: number of evaluations in a window.
    """
    if not np.isfinite(values).all():
        return None
    means = np.convolve(values, np.ones(size) / size, "valid")[: len(values) - 2 * size + 1]
    start = int(np.argmax(means))
    best, end = values[start : start + size], values[last(size)]
    error = np.sqrt((best.var(ddof=1) + end.var(ddof=1)) / size)
    return slice(start, start + size) if best.mean() - end.mean() > 2.0 * error else None
