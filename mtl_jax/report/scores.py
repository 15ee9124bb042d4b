"""Scores of finished runs as arrays over seeds, used by tables and figures."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.study_design import SafeTransfer
from mtl_jax.config.task import Task
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

    Its properties have, by task, the values of the first metric, which selects. The row of a
    scikit-learn baseline has no last step and no median.
    """

    run: Run | SklearnBaseline | CombinedRow
    by_metric: dict[str, dict[tuple[str, str], np.ndarray]]  # by property, and task and metric
    steps: dict[str, list[int]]  # by task, the step of that evaluation
    kinds: dict[str, list[str]]  # by task, the parameters of that evaluation, "raw" or "ema"
    median_of: int  # number of evaluations in the median
    evaluations: int  # total number of evaluations
    parameters: int
    seconds: float
    compile_seconds: float  # of the first block of steps; NaN if unknown
    examples_per_second: float  # NaN if unknown
    memory: float  # bytes that the steps of all seeds need; NaN if unknown
    labels: dict[str, list[int]]  # by task, number in training, validation and test
    warnings: list[str]

    @property
    def validation(self) -> dict[str, np.ndarray]:
        """Validation values at the selected evaluation; empty if not stored."""
        return first_metrics(self.run.tasks, self.by_metric["validation"])

    @property
    def selected(self) -> dict[str, np.ndarray]:
        """Values at the evaluation that validation selected."""
        return first_metrics(self.run.tasks, self.by_metric["selected"])

    @property
    def last(self) -> dict[str, np.ndarray]:
        """Values of the raw parameters after the last step."""
        return first_metrics(self.run.tasks, self.by_metric["last"])

    @property
    def last_ema(self) -> dict[str, np.ndarray]:
        """Values of the averaged parameters after the last step."""
        return first_metrics(self.run.tasks, self.by_metric["last_ema"])

    @property
    def median(self) -> dict[str, np.ndarray]:
        """Medians over the last evaluations of the averaged parameters."""
        return first_metrics(self.run.tasks, self.by_metric["median"])

    @property
    def best_on_test(self) -> dict[str, np.ndarray]:
        """Values selected on test data, to compare with papers that do so."""
        return first_metrics(self.run.tasks, self.by_metric["best_on_test"])


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

    entries = {
        "validation": [entry["validation"] for entry in selected] if has_validation else [],
        "selected": [entry["test"] for entry in selected],
        "last": [entry["raw"] for entry in last],
        "last_ema": [entry["ema"] for entry in last],
        "median": result.get("median", []),
        "best_on_test": result.get("best_on_test", []),
    }

    def selected_by_task(field: str) -> dict[str, list]:
        values = [entry[field] for entry in selected]
        return {
            t.name: [v[t.name] if isinstance(v, dict) else v for v in values] for t in run.tasks
        }

    return RunScores(
        run=run,
        by_metric={kind: values_by_metric(run.tasks, own) for kind, own in entries.items()},
        steps=selected_by_task("step") if has_step else {},
        kinds=selected_by_task("parameters") if has_step else {},
        median_of=result.get("median_of", 0),
        evaluations=result.get("evaluations", 0),
        parameters=result["parameters"],
        seconds=timing["seconds"],
        compile_seconds=timing.get("compile_seconds", math.nan),
        examples_per_second=timing.get("examples_per_second") or math.nan,
        memory=timing.get("bytes") or math.nan,  # None for scikit-learn baselines.
        labels=result.get("labels", {}),
        warnings=result.get("warnings", []),
    )


def values_by_metric(
    tasks: Sequence[Task], entries: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], np.ndarray]:
    """Values `[S]` in the unit of tables by task and metric, from entries of every seed."""
    return {
        (task.name, metric.name): metric.scale
        * np.array([entry[task.name][metric.name] for entry in entries])
        for task in tasks
        for metric in task.metrics
        if entries
    }


def first_metrics(
    tasks: Sequence[Task], values: Mapping[tuple[str, str], np.ndarray]
) -> dict[str, np.ndarray]:
    """The values of each task's first metric, by task."""
    keys = {task.name: (task.name, task.selection_metric.name) for task in tasks}
    return {name: values[key] for name, key in keys.items() if key in values}


def combine_safe(safe: SafeTransfer, rows: Mapping[str, RunScores]) -> RunScores:
    """Selects, per task and seed, the better row on validation; its cost is that of all rows."""
    transfer, run = rows[safe.transfer], rows[safe.transfer].run
    scratch = {task: rows[name] for name in safe.scratch for task in rows[name].selected}
    masks = {task.name: is_better(transfer, scratch[task.name], task) for task in run.tasks}
    combined = [transfer, *(rows[name] for name in safe.scratch)]

    def select(kind: str) -> dict[tuple[str, str], np.ndarray]:
        return {
            (task, metric): np.where(masks[task], values, other)
            for (task, metric), values in transfer.by_metric[kind].items()
            for other in (scratch[task].by_metric[kind].get((task, metric)),)
            if other is not None
        }

    return RunScores(
        run=CombinedRow(safe.name, run.tasks, run.num_seeds, run.first_seed),
        by_metric={kind: select(kind) for kind in transfer.by_metric},
        steps={},
        kinds={},
        median_of=min(row.median_of for row in combined),
        evaluations=min(row.evaluations for row in combined),
        labels=transfer.labels,
        warnings=[],
        parameters=sum(row.parameters for row in combined),
        seconds=sum(row.seconds for row in combined),
        compile_seconds=sum(row.compile_seconds for row in combined),
        examples_per_second=math.nan,
        memory=float(np.max([row.memory for row in combined])),  # Runs are sequential.
    )


def is_better(row: RunScores, other: RunScores, task: Task) -> np.ndarray:
    """Whether the first row is better on validation, by seed `[S]`; NaN is the worst."""
    sign = 1.0 if task.selection_metric.higher_is_better else -1.0
    first, second = (sign * each.validation[task.name] for each in (row, other))
    return (first > second) | (np.isnan(second) & ~np.isnan(first))


def mean_of(tasks: Iterable[Task], by_task: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Average over tasks, by seed `[S]`; None if metrics differ or have units."""
    tasks = list(tasks)
    same_metric = len({task.selection_metric.name for task in tasks}) == 1
    same_unit = len(tasks) == 1 or all(task.selection_metric.unit_free for task in tasks)
    return np.mean(list(by_task.values()), 0) if same_metric and same_unit and by_task else None
