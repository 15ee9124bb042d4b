"""Figure of the trade-off between two tasks: runs as points, and their Pareto front."""

from collections.abc import Mapping, Sequence

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.task import Task
from mtl_jax.metrics.comparison import confidence_interval
from mtl_jax.report.baselines import baselines
from mtl_jax.report.columns import has, tasks_of
from mtl_jax.report.label_placement import place_labels
from mtl_jax.report.plotting import (
    GRAY,
    MEDIUM,
    WIDTH,
    add_legend,
    colors_of,
    new_figure,
    paper_figure,
)
from mtl_jax.report.scores import RunScores
from mtl_jax.report.text_size import break_lines


@paper_figure
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
    names = {str(number): row.run.name for number, row in enumerate(shown, 1)}
    figure = new_figure(3.0)
    axis = figure.subplots()
    intervals = np.array(
        [[confidence_interval(row.selected[task]) for task in tasks] for row in shown]
    )
    means, halves = intervals[..., 0], np.nan_to_num(intervals[..., 1])
    colors = colors_of(list(names))
    for (number, name), mean, half in zip(names.items(), means, halves, strict=True):
        axis.errorbar(
            mean[:1], mean[1:], xerr=half[:1], yerr=half[1:], fmt="o", ms=3, lw=0.5,
            color=colors[number], label=f"{number}  {name}",
        )  # fmt: skip
    draw_front(axis, means, list(tasks.values()))
    draw_singles(axis, baselines(experiment, rows), list(tasks))
    first, second = tasks.values()
    axis.set_xlabel(break_lines(label(first), 0.9 * WIDTH, MEDIUM))
    axis.set_ylabel(break_lines(label(second), 2.4, MEDIUM))
    handles, labels = axis.get_legend_handles_labels()
    add_legend(figure, dict(zip(labels, handles, strict=True)))
    place_labels(axis, list(names), means)
    return figure


def draw_front(axis, means: np.ndarray, tasks: Sequence[Task]) -> None:
    """Draws the Pareto front: circles and connects the nondominated runs."""
    signs = [1.0 if task.selection_metric.higher_is_better else -1.0 for task in tasks]
    best = means[nondominated(means * signs)]
    best = best[np.argsort(best[:, 0])]
    axis.plot(
        *best.T,
        "-o",
        lw=0.7,
        ms=6,
        mew=0.7,
        mfc="none",
        color="black",
        zorder=1,
        label="Pareto front",
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
    lines = (axis.axvline, "--"), (axis.axhline, ":")
    for name, (draw, style) in zip(names, lines, strict=True):
        if name in singles:
            single = singles[name]
            draw(
                single.selected[name].mean(), color=GRAY, lw=0.9, ls=style, zorder=0,
                label=single.run.name,
            )  # fmt: skip


def label(task: Task) -> str:
    """Axis label: name and metric of a task, and the direction of improvement."""
    better = "higher" if task.selection_metric.higher_is_better else "lower"
    return f"{task.name} {task.selection_metric.name} (test, {better} is better)"
