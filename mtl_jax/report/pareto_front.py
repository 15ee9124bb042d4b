"""Figure of the trade-off between two tasks: runs as points, and their Pareto front."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.task import Task
from mtl_jax.metrics.comparison import confidence_interval
from mtl_jax.report.baselines import baselines
from mtl_jax.report.columns import has, tasks_of
from mtl_jax.report.plotting import color_cycle, new_figure
from mtl_jax.report.scores import RunScores

MAX_LINES = 30  # Lines per column of the legend.


def plot_pareto_front(experiment: Experiment, rows: Sequence[RunScores]):
    """Test metrics of two tasks against each other, mean and 95 % interval over seeds.

    Numbered points are runs, named in the legend; nondominated runs (in their means) are circled
    and connected; dashed lines are the single-task runs. None unless the experiment has exactly
    two tasks and at least two runs that have both.
    """
    tasks = tasks_of(experiment)
    shown = [row for row in rows if all(has(row, task) for task in tasks.values())]
    if len(tasks) != 2 or len(shown) < 2:
        return None
    columns = math.ceil(len(shown) / MAX_LINES)
    figure = new_figure(5.2 + 2.2 * columns, 5.0, layout="constrained")
    axis = figure.subplots()
    intervals = np.array(
        [[confidence_interval(row.selected[task]) for task in tasks] for row in shown]
    )
    means, halves = intervals[..., 0], np.nan_to_num(intervals[..., 1])
    for number, (row, mean, half, color) in enumerate(
        zip(shown, means, halves, color_cycle(), strict=False), 1
    ):
        draw_run(axis, number, row.run.name, mean, half, color)
    draw_front(axis, means, list(tasks.values()))
    draw_singles(axis, baselines(experiment, rows), list(tasks))
    first, second = tasks.values()
    axis.set_xlabel(label(first))
    axis.set_ylabel(label(second))
    figure.legend(loc="outside right upper", fontsize=6, ncols=columns)
    return figure


def draw_run(axis, number: int, name: str, mean: np.ndarray, half: np.ndarray, color: str) -> None:
    """Draws one run, with its number."""
    axis.errorbar(
        mean[:1], mean[1:], xerr=half[:1], yerr=half[1:], fmt="o", ms=3, lw=0.6, color=color,
        label=f"{number}  {name}",
    )  # fmt: skip
    axis.annotate(str(number), mean, (3, 3), textcoords="offset points", fontsize=7, color=color)


def draw_front(axis, means: np.ndarray, tasks: Sequence[Task]) -> None:
    """Draws the Pareto front: circles and connects the nondominated runs."""
    signs = [1.0 if task.selection_metric.higher_is_better else -1.0 for task in tasks]
    best = means[nondominated(means * signs)]
    best = best[np.argsort(best[:, 0])]
    axis.plot(
        *best.T, "-o", lw=0.8, ms=8, mfc="none", color="black", zorder=1, label="Pareto front"
    )


def nondominated(values: np.ndarray) -> np.ndarray:
    """Mask `[R]` of the nondominated rows of `[R, M]`; higher is better.

    A row is dominated if another one is at least as high everywhere and higher somewhere.
    """
    at_least = (values[:, None] >= values[None]).all(-1)
    dominates = at_least & (values[:, None] > values[None]).any(-1)
    return np.logical_not(dominates.any(0))


def draw_singles(axis, singles: Mapping[str, RunScores], names: Sequence[str]) -> None:
    """Draws the means of the single-task runs."""
    for name, draw in zip(names, (axis.axvline, axis.axhline), strict=True):
        if name in singles:
            single = singles[name]
            draw(
                single.selected[name].mean(), color="0.5", lw=0.8, ls="--", zorder=0,
                label=single.run.name,
            )  # fmt: skip


def label(task: Task) -> str:
    """Axis label: name and metric of a task, and the direction of improvement."""
    better = "higher" if task.selection_metric.higher_is_better else "lower"
    return f"{task.name} {task.selection_metric.name} (test, {better} is better)"
