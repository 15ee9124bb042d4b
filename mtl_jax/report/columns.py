"""Columns of tables: the metrics of the tasks."""

from typing import NamedTuple, TypeVar

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.task import Task
from mtl_jax.core.metric import MetricTraits
from mtl_jax.report.formatting import heading
from mtl_jax.report.scores import MAX_COLUMNS, RunScores

Shown = TypeVar("Shown", Task, "Column")


class Column(NamedTuple):
    """A metric of a task, as a column of tables."""

    task: Task
    metric: MetricTraits

    @property
    def heading(self) -> str:
        """Its heading, which is the same for comparable values."""
        return heading(self.task, self.metric)

    @property
    def key(self) -> tuple[str, str]:
        """Its key in `RunScores.by_metric`."""
        return self.task.name, self.metric.name


def tasks_of(experiment: Experiment) -> dict[str, Task]:
    """All tasks of the experiment by name, in order of appearance, as defined by the first row."""
    tasks: dict[str, Task] = {}
    for column in columns_of(experiment).values():
        tasks.setdefault(column.task.name, column.task)
    return tasks


def columns_of(experiment: Experiment) -> dict[str, Column]:
    """All pairs of task and metric of the experiment by heading, in order of appearance."""
    columns: dict[str, Column] = {}
    rows = (*experiment.runs, *experiment.sklearn_baselines)
    for task in (task for row in rows for task in row.tasks):
        for column in (Column(task, metric) for metric in task.metrics):
            columns.setdefault(column.heading, column)
    return columns


def has(row: RunScores, task: Task, metric: MetricTraits | None = None) -> bool:
    """Whether a row has a task with this name and metric, by default its first, to compare."""
    own = {heading(own, each) for own in row.run.tasks for each in own.metrics}
    return heading(task, metric) in own


def value_of(row: RunScores, column: Column) -> np.ndarray | None:
    """A row's test values `[S]` of a column; None if it lacks the task or the metric."""
    return row.by_metric["selected"][column.key] if has(row, *column) else None


def shown_tasks(tasks: dict[str, Shown]) -> dict[str, Shown]:
    """The tasks, or columns, that formatted tables show: all, or none of too many tasks."""
    names = {each.task.name if isinstance(each, Column) else each.name for each in tasks.values()}
    return tasks if len(names) <= MAX_COLUMNS else {}


def has_several_metrics(experiment: Experiment) -> bool:
    """Whether a task of the experiment has more than one metric."""
    return any(len(column.task.metrics) > 1 for column in columns_of(experiment).values())
