"""Comparison of rows with the single-task baselines."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.task import Task
from mtl_jax.metrics.comparison import delta_m, delta_p
from mtl_jax.report.columns import Column, has
from mtl_jax.report.scores import RunScores


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
    sign = 1.0 if task.selection_metric.higher_is_better else -1.0
    return sign * (row.selected[task.name] - single.selected[task.name])


class Deltas(NamedTuple):
    """Changes `[S]` relative to single-task baselines, in percent."""

    delta_m: np.ndarray  # over all metrics, lower is better
    delta_p: np.ndarray  # over the metrics of a task, then over tasks, higher is better


def paired_deltas(row: RunScores, singles: Mapping[str, RunScores]) -> Deltas | None:
    """`delta_m` and `delta_p` by seed over the metrics of a row; None if a baseline is missing.

    A metric whose baseline is 0 in a seed is excluded, as its relative change is undefined.
    """
    columns = [Column(task, metric) for task in row.run.tasks for metric in task.metrics]
    if not all(
        comparable(row, task.name, singles) and has(singles[task.name], task, metric)
        for task, metric in columns
    ):
        return None
    baselines = {c.key: singles[c.task.name].by_metric["selected"][c.key] for c in columns}
    columns = [column for column in columns if baselines[column.key].all()]
    if not columns:
        return None
    values = jnp.asarray(np.stack([row.by_metric["selected"][c.key] for c in columns], -1))
    references = jnp.asarray(np.stack([baselines[c.key] for c in columns], -1))
    higher = tuple(column.metric.higher_is_better for column in columns)
    names = [task.name for task in row.run.tasks]
    tasks = tuple(names.index(column.task.name) for column in columns)
    return Deltas(
        np.asarray(delta_m(values, references, higher)),
        np.asarray(delta_p(values, references, higher, tasks)),
    )
