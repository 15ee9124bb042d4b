"""Scores of finished runs as arrays over seeds, used by tables and figures."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.study_design import SafeTransfer
from mtl_jax.config.task import Task
from mtl_jax.metrics.comparison import delta_m
from mtl_jax.report.formatting import heading
from mtl_jax.storage.run_directory import RunDirectory

MAX_COLUMNS = 6  # With more tasks, formatted tables contain only the average.


class CombinedRow(NamedTuple):
    """The run-like attributes of a row that is combined from finished runs."""

    name: str
    tasks: tuple[Task, ...]
    num_seeds: int
    first_seed: int


class RunScores(NamedTuple):
    """Test metrics of one run; every array is `[S]`, in the unit of tables.

    The row of a scikit-learn baseline has no last step and no median.
    """

    run: Run | SklearnBaseline | CombinedRow
    validation: dict[str, np.ndarray]  # by task, at the selected evaluation; empty if not stored
    selected: dict[str, np.ndarray]  # by task, at the evaluation that validation selected
    steps: dict[str, list[int]]  # by task, the step of that evaluation
    kinds: dict[str, list[str]]  # by task, the parameters of that evaluation, "raw" or "ema"
    last: dict[str, np.ndarray]  # by task, raw parameters after the last step
    last_ema: dict[str, np.ndarray]
    median: dict[str, np.ndarray]  # over the last evaluations, EMA parameters
    median_of: int  # number of evaluations in the median
    evaluations: int  # total number of evaluations
    best_on_test: dict[str, np.ndarray]  # selected on test data, to compare with papers that do
    parameters: int
    seconds: float
    memory: float  # bytes that the steps of all seeds need; NaN if unknown
    labels: dict[str, list[int]]  # by task, number in training, validation and test
    warnings: list[str]


def collect(experiment: Experiment, folders: Mapping[str, RunDirectory]) -> list[RunScores]:
    """Reads the results of all rows; combined rows come last."""
    rows = (*experiment.runs, *experiment.sklearn_baselines)
    found = {row.name: scores(row, folders[row.name]) for row in rows}
    return [*found.values(), *(combine_safe(safe, found) for safe in experiment.safe_transfer)]


def scores(run: Run | SklearnBaseline, folder: RunDirectory) -> RunScores:
    """Reads the result of one run."""
    result, timing = folder.result(), folder.read("timing.json")
    selected, last = result["selected"], result.get("last", [])
    has_validation = all("validation" in entry for entry in selected)
    has_step = all("step" in entry for entry in selected)

    def by_task(entries: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
        return {
            task.name: task.metric.scale
            * np.array([entry[task.name][task.metric.name] for entry in entries])
            for task in run.tasks
            if entries
        }

    def selected_by_task(field: str) -> dict[str, list]:
        values = [entry[field] for entry in selected]
        return {
            t.name: [v[t.name] if isinstance(v, dict) else v for v in values] for t in run.tasks
        }

    return RunScores(
        run=run,
        validation=by_task([entry["validation"] for entry in selected]) if has_validation else {},
        selected=by_task([entry["test"] for entry in selected]),
        steps=selected_by_task("step") if has_step else {},
        kinds=selected_by_task("parameters") if has_step else {},
        last=by_task([entry["raw"] for entry in last]),
        last_ema=by_task([entry["ema"] for entry in last]),
        median=by_task(result.get("median", [])),
        median_of=result.get("median_of", 0),
        evaluations=result.get("evaluations", 0),
        best_on_test=by_task(result["best_on_test"]),
        parameters=result["parameters"],
        seconds=timing["seconds"],
        memory=timing.get("bytes") or math.nan,  # None for scikit-learn baselines.
        labels=result.get("labels", {}),
        warnings=result.get("warnings", []),
    )


def combine_safe(safe: SafeTransfer, rows: Mapping[str, RunScores]) -> RunScores:
    """Selects, per task and seed, the better row on validation; its cost is that of all rows."""
    transfer, run = rows[safe.transfer], rows[safe.transfer].run
    scratch = {task: rows[name] for name in safe.scratch for task in rows[name].selected}
    masks = {task.name: is_better(transfer, scratch[task.name], task) for task in run.tasks}
    combined = [transfer, *(rows[name] for name in safe.scratch)]

    def select(kind: str) -> dict[str, np.ndarray]:
        values = {task: (getattr(transfer, kind), getattr(scratch[task], kind)) for task in masks}
        return {
            task: np.where(masks[task], first[task], second[task])
            for task, (first, second) in values.items()
            if task in first and task in second
        }

    kinds = ("validation", "selected", "last", "last_ema", "median", "best_on_test")
    return RunScores(
        run=CombinedRow(safe.name, run.tasks, run.num_seeds, run.first_seed),
        **{kind: select(kind) for kind in kinds},
        steps={},
        kinds={},
        median_of=min(row.median_of for row in combined),
        evaluations=min(row.evaluations for row in combined),
        labels=transfer.labels,
        warnings=[],
        parameters=sum(row.parameters for row in combined),
        seconds=sum(row.seconds for row in combined),
        memory=float(np.max([row.memory for row in combined])),  # Runs are sequential.
    )


def is_better(row: RunScores, other: RunScores, task: Task) -> np.ndarray:
    """Whether the first row is better on validation, by seed `[S]`; NaN is the worst."""
    sign = 1.0 if task.metric.higher_is_better else -1.0
    first, second = (sign * each.validation[task.name] for each in (row, other))
    return (first > second) | (np.isnan(second) & ~np.isnan(first))


def tasks_of(experiment: Experiment) -> dict[str, Task]:
    """All tasks of the experiment by name, in order of appearance, as defined by the first row."""
    tasks: dict[str, Task] = {}
    for task in columns_of(experiment).values():
        tasks.setdefault(task.name, task)
    return tasks


def columns_of(experiment: Experiment) -> dict[str, Task]:
    """All pairs of task and metric of the experiment by heading, in order of appearance."""
    columns: dict[str, Task] = {}
    rows = (*experiment.runs, *experiment.sklearn_baselines)
    for task in (task for row in rows for task in row.tasks):
        columns.setdefault(heading(task), task)
    return columns


def has(row: RunScores, task: Task) -> bool:
    """Whether a row has a task with this name and metric, and so is comparable."""
    return any(heading(own) == heading(task) for own in row.run.tasks)


def value_of(row: RunScores, task: Task) -> np.ndarray | None:
    """A row's test metric `[S]` of a task; None if it lacks the task or the metric."""
    return row.selected[task.name] if has(row, task) else None


def baselines(experiment: Experiment, rows: Sequence[RunScores]) -> dict[str, RunScores]:
    """The single-task baseline of each task."""
    singles = [row for row in rows if row.run.name in experiment.baselines]
    return {task.name: row for row in singles for task in row.run.tasks}


def comparable(row: RunScores, task: str, singles: Mapping[str, RunScores]) -> bool:
    """Whether a row has the task, and its baseline has the same metric and seeds."""
    if task not in row.selected or task not in singles:
        return False
    single = singles[task].run
    same_metric = all(has(singles[task], own) for own in row.run.tasks if own.name == task)
    return same_metric and (single.num_seeds, single.first_seed) == (
        row.run.num_seeds,
        row.run.first_seed,
    )


def paired_gain(row: RunScores, task: Task, single: RunScores) -> np.ndarray:
    """Gain of a row over the single-task run, by seed `[S]`; higher is better."""
    sign = 1.0 if task.metric.higher_is_better else -1.0
    return sign * (row.selected[task.name] - single.selected[task.name])


def paired_delta(row: RunScores, singles: Mapping[str, RunScores]) -> np.ndarray | None:
    """Delta_m by seed `[S]` over the row's tasks; None if a baseline is missing.

    A task whose baseline is 0 in a seed is excluded, as its relative change is undefined.
    """
    if not all(comparable(row, task.name, singles) for task in row.run.tasks):
        return None
    tasks = [task for task in row.run.tasks if singles[task.name].selected[task.name].all()]
    if not tasks:
        return None
    values = np.stack([row.selected[task.name] for task in tasks], -1)
    references = np.stack([singles[task.name].selected[task.name] for task in tasks], -1)
    higher = tuple(task.metric.higher_is_better for task in tasks)
    return np.asarray(delta_m(jnp.asarray(values), jnp.asarray(references), higher))


def mean_of(tasks: Iterable[Task], by_task: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Average over tasks, by seed `[S]`; None if metrics differ or have units."""
    tasks = list(tasks)
    same_metric = len({task.metric.name for task in tasks}) == 1
    same_unit = len(tasks) == 1 or all(task.metric.unit_free for task in tasks)
    return np.mean(list(by_task.values()), 0) if same_metric and same_unit and by_task else None


def shown_tasks(tasks: dict[str, Task]) -> dict[str, Task]:
    """The tasks with a separate column in formatted tables: all, or none if there are too many."""
    return tasks if len(tasks) <= MAX_COLUMNS else {}
