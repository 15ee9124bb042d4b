"""The finished runs as arrays over seeds, which table and figures are made of."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.run import Experiment, Run, Task
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.config.study_design import Safe
from mtl_jax.metrics.comparison import delta_m
from mtl_jax.metrics.predictions import is_unit_free
from mtl_jax.report.formatting import heading
from mtl_jax.storage.run_directory import Folder

MOST = 6  # Of more tasks only the average stands in tables for people.


class Chosen(NamedTuple):
    """What a row that was put together of finished runs has of a run."""

    name: str
    tasks: tuple[Task, ...]
    seeds: int
    first_seed: int


class Scores(NamedTuple):
    """Test metrics of one run; every array is `[S]`, in the unit of tables.

    A row of another estimator has no last step and no median.
    """

    run: Run | Classic | Chosen
    validation: dict[str, np.ndarray]  # by task, what the choice was made by; empty if not kept
    selected: dict[str, np.ndarray]  # by task, at the evaluation that validation selected
    steps: dict[str, list[int]]  # by task, of that evaluation
    kinds: dict[str, list[str]]  # by task, its parameters, "raw" or "ema"
    last: dict[str, np.ndarray]  # by task, raw parameters after the last step
    last_ema: dict[str, np.ndarray]
    median: dict[str, np.ndarray]  # of the last evaluations, averaged parameters
    median_of: int  # how many
    evaluations: int  # of how many
    best_on_test: dict[str, np.ndarray]  # chosen by test data, to stand beside papers that do
    parameters: int
    seconds: float
    memory: float  # bytes that the steps of all seeds need; NaN where nobody said
    labels: dict[str, list[int]]  # by task, how many in training, validation and test
    warnings: list[str]


def collect(experiment: Experiment, folders: dict[str, Folder]) -> list[Scores]:
    """Reads the results of all rows; those that are put together of others come last."""
    rows = (*experiment.runs, *experiment.classics)
    found = {row.name: scores(row, folders[row.name]) for row in rows}
    return [*found.values(), *(chosen(safe, found) for safe in experiment.safe)]


def scores(run: Run | Classic, folder: Folder) -> Scores:
    """Reads the result of one run."""
    result, timing = folder.result(), folder.read("timing.json")
    chosen = result["selected"]
    kept = all("validation" in entry for entry in chosen)
    placed = all("step" in entry for entry in chosen)

    def of(entries: list[dict[str, Any]]) -> dict[str, np.ndarray]:
        return {
            task.name: task.metric.scale
            * np.array([entry[task.name][task.metric.name] for entry in entries])
            for task in run.tasks
            if entries
        }

    def which(field: str) -> dict[str, list]:
        def of_task(value, task):
            return value[task] if isinstance(value, dict) else value

        return {t.name: [of_task(entry[field], t.name) for entry in chosen] for t in run.tasks}

    return Scores(
        run=run,
        validation=of([entry["validation"] for entry in chosen]) if kept else {},
        selected=of([entry["test"] for entry in chosen]),
        steps=which("step") if placed else {},
        kinds=which("parameters") if placed else {},
        last=of([entry["raw"] for entry in result["last"]]) if "last" in result else {},
        last_ema=of([entry["ema"] for entry in result["last"]]) if "last" in result else {},
        median=of(result["median"]) if "median" in result else {},
        median_of=result.get("median_of", 0),
        evaluations=result.get("evaluations", 0),
        best_on_test=of(result["best_on_test"]),
        parameters=result["parameters"],
        seconds=timing["seconds"],
        memory=timing.get("bytes") or math.nan,  # Other estimators have none.
        labels=result.get("labels", {}),
        warnings=result.get("warnings", []),
    )


def chosen(safe: Safe, rows: dict[str, Scores]) -> Scores:
    """For each task and seed the row that validation prefers; it costs what all of them cost."""
    one = rows[safe.transfer]
    others = {task: rows[name] for name in safe.scratch for task in rows[name].selected}
    takes = {task.name: better(one, others[task.name], task) for task in one.run.tasks}

    every = [one, *(rows[name] for name in safe.scratch)]

    def of(kind: str) -> dict[str, np.ndarray]:
        return {
            task: np.where(take, getattr(one, kind)[task], getattr(others[task], kind)[task])
            for task, take in takes.items()
            if task in getattr(one, kind) and task in getattr(others[task], kind)
        }

    kinds = ("validation", "selected", "last", "last_ema", "median", "best_on_test")
    return Scores(
        run=Chosen(safe.name, one.run.tasks, one.run.seeds, one.run.first_seed),
        **{kind: of(kind) for kind in kinds},
        steps={},
        kinds={},
        median_of=min(row.median_of for row in every),
        evaluations=min(row.evaluations for row in every),
        labels=one.labels,
        warnings=[],
        parameters=sum(row.parameters for row in every),
        seconds=sum(row.seconds for row in every),
        memory=float(np.max([row.memory for row in every])),  # One after the other.
    )


def better(one: Scores, other: Scores, task: Task) -> np.ndarray:
    """By seed `[S]`, whether validation prefers the first row; no number is the worst."""
    sign = 1.0 if task.metric.higher_is_better else -1.0
    first, second = (sign * row.validation[task.name] for row in (one, other))
    return (first > second) | (np.isnan(second) & ~np.isnan(first))


def tasks_of(experiment: Experiment) -> dict[str, Task]:
    """Every task of the experiment by name, in the order of appearance, as its first row has it."""
    tasks: dict[str, Task] = {}
    for task in columns_of(experiment).values():
        tasks.setdefault(task.name, task)
    return tasks


def columns_of(experiment: Experiment) -> dict[str, Task]:
    """Every task and metric of the experiment by their heading, in the order of appearance."""
    columns: dict[str, Task] = {}
    rows = (*experiment.runs, *experiment.classics)
    for task in (task for row in rows for task in row.tasks):
        columns.setdefault(heading(task), task)
    return columns


def has(row: Scores, task: Task) -> bool:
    """Whether a row has a task of this name and metric; others do not compare with it."""
    return any(heading(own) == heading(task) for own in row.run.tasks)


def value_of(row: Scores, task: Task) -> np.ndarray | None:
    """A row's test metric `[S]` of a task, None if it has none of this metric."""
    return row.selected[task.name] if has(row, task) else None


def baselines(experiment: Experiment, rows: list[Scores]) -> dict[str, Scores]:
    """By task, the single-task run that it is compared with."""
    singles = [row for row in rows if row.run.name in experiment.baselines]
    return {task.name: row for row in singles for task in row.run.tasks}


def comparable(row: Scores, task: str, singles: dict[str, Scores]) -> bool:
    """Whether a row has a task whose baseline has the same metric and the same seeds."""
    if task not in row.selected or task not in singles:
        return False
    single = singles[task].run
    alike = all(has(singles[task], own) for own in row.run.tasks if own.name == task)
    return alike and (single.seeds, single.first_seed) == (row.run.seeds, row.run.first_seed)


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


def mean_of(tasks: Iterable[Task], by_task: dict[str, np.ndarray]) -> np.ndarray | None:
    """Average over tasks, by seed `[S]`; None if they have other metrics or metrics with units."""
    tasks = list(tasks)
    alike = len({task.metric.name for task in tasks}) == 1
    free = len(tasks) == 1 or all(is_unit_free(task.metric) for task in tasks)
    return np.mean(list(by_task.values()), 0) if alike and free and by_task else None


def shown_tasks(tasks: dict[str, Task]) -> dict[str, Task]:
    """The tasks that have a column of their own in tables for people: all, or none of too many."""
    return tasks if len(tasks) <= MOST else {}
