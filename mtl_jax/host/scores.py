"""The finished runs as arrays over seeds, which table and figures are made of."""

import math
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.classic import Classic
from mtl_jax.compare import delta_m
from mtl_jax.host.folder import Folder
from mtl_jax.run import Experiment, Run, Task


class Scores(NamedTuple):
    """Test metrics of one run; every array is `[S]`, in the metric's own unit."""

    run: Run | Classic
    selected: dict[str, np.ndarray]  # by task, at the evaluation that validation chose
    last: dict[str, np.ndarray]  # by task, raw parameters after the last step
    last_ema: dict[str, np.ndarray]
    median: dict[str, np.ndarray]  # of the last 20 evaluations, averaged parameters
    best_on_test: dict[str, np.ndarray]  # chosen by test data, to stand beside papers that do
    parameters: int
    seconds: float
    memory: float  # bytes that the steps of all seeds need; NaN where nobody said


def collect(experiment: Experiment, folders: dict[str, Folder]) -> list[Scores]:
    """Reads the results of all rows."""
    rows = (*experiment.runs, *experiment.classics)
    return [scores(row, folders[row.name]) for row in rows]


def scores(run: Run | Classic, folder: Folder) -> Scores:
    """Reads the result of one run."""
    result, timing = folder.result(), folder.read("timing.json")

    def of(entries: list[dict[str, Any]]) -> dict[str, np.ndarray]:
        return {
            task.name: task.metric.scale
            * np.array([entry[task.name][task.metric.name] for entry in entries])
            for task in run.tasks
        }

    return Scores(
        run=run,
        selected=of([entry["test"] for entry in result["selected"]]),
        last=of([entry["raw"] for entry in result["last"]]),
        last_ema=of([entry["ema"] for entry in result["last"]]),
        median=of(result["median"]),
        best_on_test=of(result["best_on_test"]),
        parameters=result["parameters"],
        seconds=timing["seconds"],
        memory=timing.get("bytes") or math.nan,  # Older results have none.
    )


def tasks_of(experiment: Experiment) -> dict[str, Task]:
    """Every task of the experiment by name, in the order of appearance."""
    tasks: dict[str, Task] = {}
    rows = (*experiment.runs, *experiment.classics)
    for task in (task for row in rows for task in row.tasks):
        tasks.setdefault(task.name, task)
    return tasks


def baselines(experiment: Experiment, rows: list[Scores]) -> dict[str, Scores]:
    """By task, the single-task run that it is compared with."""
    singles = [row for row in rows if row.run.name in experiment.baselines]
    return {task.name: row for row in singles for task in row.run.tasks}


def comparable(row: Scores, task: str, singles: dict[str, Scores]) -> bool:
    """Whether a row has a task whose baseline was trained with the same seeds."""
    if task not in row.selected or task not in singles:
        return False
    single = singles[task].run
    return (single.seeds, single.first_seed) == (row.run.seeds, row.run.first_seed)


def paired_gain(row: Scores, task: Task, single: Scores) -> np.ndarray:
    """By seed `[S]`, how much better a row is than the single-task run; more is better."""
    sign = 1.0 if task.metric.higher_is_better else -1.0
    return sign * (row.selected[task.name] - single.selected[task.name])


def paired_delta(row: Scores, singles: dict[str, Scores]) -> np.ndarray | None:
    """Delta_m by seed `[S]` over the row's tasks, or None where there is no baseline.

    A task whose baseline is 0 in a seed does not count, since nothing is relative to 0.
    """
    if not all(comparable(row, task.name, singles) for task in row.run.tasks):
        return None
    tasks = [task for task in row.run.tasks if singles[task.name].selected[task.name].all()]
    if not tasks:
        return None
    values = np.stack([row.selected[task.name] for task in tasks], -1)
    against = np.stack([singles[task.name].selected[task.name] for task in tasks], -1)
    higher = tuple(task.metric.higher_is_better for task in tasks)
    return np.asarray(delta_m(values, against, higher))
