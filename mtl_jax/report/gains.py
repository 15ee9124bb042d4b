"""Figure of the gains of each run over the single-task baselines."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.task import Task
from mtl_jax.metrics.comparison import confidence_interval, verdicts
from mtl_jax.report.baselines import baselines, comparable, paired_gain
from mtl_jax.report.columns import tasks_of
from mtl_jax.report.formatting import unit
from mtl_jax.report.plotting import (
    GRAY,
    SMALL,
    WIDTH,
    add_legend,
    colors_of,
    new_figure,
    paper_figure,
)
from mtl_jax.report.scores import RunScores, mean_of
from mtl_jax.report.text_size import break_lines, short_number

MAX_BARS = 6  # With more tasks, each task is a dot and their mean a bar.
VERDICT_COLORS = {"helped": "#009E73", "open": GRAY, "hurt": "#D55E00"}
VERDICT_MARKERS = {"helped": "^", "open": "o", "hurt": "v"}


@paper_figure
def gains(experiment: Experiment, rows: Sequence[RunScores]):
    """Gain of each task of a run over single-task, paired by seed, higher is better.

    With few tasks, each has a bar with its interval. With many, each is a dot in the color of
    its verdict, and the bar is their mean; gains in several units are relative to single-task.
    """
    singles, tasks = baselines(experiment, rows), tasks_of(experiment)
    shown = [row for row in rows if row.run.name not in experiment.baselines]
    if not shown or not all(task in singles for task in tasks):
        return None
    names = [break_lines(row.run.name, 0.35 * WIDTH, SMALL) for row in shown]
    bars = len(tasks) if len(tasks) <= MAX_BARS else 1
    lines = max(name.count("\n") + 1 for name in names)
    figure = new_figure(0.6 + max(0.04 + 0.06 * bars, 0.04 + 0.1 * lines, 0.16) * len(shown))
    panels = same_unit(tasks) if len(tasks) <= MAX_BARS else [tasks]
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False).ravel()
    colors = colors_of(list(tasks))
    artists = {}
    for axis, own in zip(axes, panels, strict=True):
        if len(tasks) <= MAX_BARS:
            draw_tasks(axis, shown, own, singles, colors)
        else:
            draw_means(axis, shown, tasks, singles)
        axis.axvline(0.0, color="black", lw=0.5)
        axis.locator_params(axis="x", nbins=8 // len(panels) + 1)
        axis.xaxis.set_major_formatter(short_number)
        artists |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    axes[0].set_yticks(range(len(shown)), names)
    axes[0].set_ylim(len(shown) - 0.5, -0.5)
    figure.suptitle("test gain over single-task, paired by seed, 95 % interval")
    add_legend(figure, artists)
    return figure


def same_unit(tasks: Mapping[str, Task]) -> list[dict[str, Task]]:
    """The tasks in groups of those whose metrics have the same unit."""
    groups: dict[Any, dict[str, Task]] = {}
    for name, task in tasks.items():
        metric = task.selection_metric
        groups.setdefault(metric.scale if metric.unit_free else name, {})[name] = task
    return list(groups.values())


def metric_names(tasks: Mapping[str, Task]) -> str:
    """The metrics of tasks, with their unit."""
    metrics = {task.selection_metric.name: task.selection_metric for task in tasks.values()}
    return ", ".join(f"{name}{unit(metric.scale)}" for name, metric in metrics.items())


def relative_gain(row: RunScores, task: Task, single: RunScores) -> np.ndarray:
    """Gain of a row in percent of the single-task run's mean, which is not 0, by seed `[S]`."""
    reference = abs(single.selected[task.name].mean())
    return 100.0 * paired_gain(row, task, single) / reference


def draw_tasks(
    axis: Any,
    shown: Sequence[RunScores],
    tasks: Mapping[str, Task],
    singles: Mapping[str, RunScores],
    colors: Mapping[str, Any],
) -> None:
    """Draws a bar for every run and task."""
    axis.set_xlabel(metric_names(tasks))
    height = 0.8 / len(tasks)
    for index, (name, task) in enumerate(tasks.items()):
        pairs = [(y, row) for y, row in enumerate(shown) if comparable(row, name, singles)]
        offset = (index - (len(tasks) - 1) / 2) * height
        values = [paired_gain(row, task, singles[name]) for _, row in pairs]
        positions = [y + offset for y, _ in pairs]
        draw_bars(axis, positions, values, height, color=colors[name], label=name)


def draw_means(
    axis, shown: Sequence[RunScores], tasks: Mapping[str, Task], singles: Mapping[str, RunScores]
) -> None:
    """Draws a bar for each run's mean over its tasks, and a dot for every task."""
    relative = len(same_unit(tasks)) > 1
    axis.set_xlabel("relative gain %" if relative else metric_names(tasks))
    gain_of = relative_gain if relative else paired_gain
    by_row = [
        {name: gain_of(row, tasks[name], singles[name]) for name in tasks
         if comparable(row, name, singles) and (singles[name].selected[name].mean() or not relative)}
        for row in shown
    ]  # fmt: skip
    pairs = [(y, by_task) for y, by_task in enumerate(by_row) if by_task]
    means = [
        np.mean(list(by_task.values()), 0)
        if relative
        else mean_of([tasks[name] for name in by_task], by_task)
        for _, by_task in pairs
    ]
    means = [mean for mean in means if mean is not None]
    if means and len(means) == len(pairs):
        positions = [y for y, _ in pairs]
        draw_bars(axis, positions, means, 0.6, color="0.85", label="mean over tasks")
    points = [(gain, y) for y, by_task in pairs for gain in by_task.values()]
    found = verdicts([gain for gain, _ in points])
    for kind, color in VERDICT_COLORS.items():
        dots = [
            (gain.mean(), y)
            for (gain, y), verdict in zip(points, found, strict=True)
            if verdict == kind
        ]
        axis.plot(
            *np.reshape(dots, (-1, 2)).T,
            VERDICT_MARKERS[kind],
            ms=3.5,
            mew=0,
            alpha=0.8,
            color=color,
            label=f"a task, {kind}",
        )


def draw_bars(
    axis, positions: Sequence[float], gains: Sequence[np.ndarray], height: float, **style: Any
) -> None:
    """Draws bars of means over seeds `[S]` with intervals; a single seed has no interval."""
    intervals = [confidence_interval(values) for values in gains]
    axis.barh(
        positions,
        [mean for mean, _ in intervals],
        height,
        xerr=[0.0 if math.isnan(half) else half for _, half in intervals],
        error_kw={"lw": 0.6},
        **style,
    )
