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
from mtl_jax.report.plotting import color_cycle, new_figure
from mtl_jax.report.scores import RunScores, mean_of

MAX_BARS = 6  # With more tasks, each task is a dot and their mean a bar.
VERDICT_COLORS = {"helped": "tab:green", "open": "0.55", "hurt": "tab:red"}


def gains(experiment: Experiment, rows: Sequence[RunScores]):
    """Gain of each task of a run over single-task, paired by seed, higher is better.

    With few tasks, each has a bar with its interval. With many, each is a dot in the color of
    its verdict, and the bar is their mean if they are measured in the same unit.
    """
    singles, tasks = baselines(experiment, rows), tasks_of(experiment)
    shown = [row for row in rows if row.run.name not in experiment.baselines]
    if not shown or not all(task in singles for task in tasks):
        return None
    figure = new_figure(7.0, 0.8 + 0.32 * len(shown), layout="constrained")
    axis = figure.subplots()
    draw = draw_tasks if len(tasks) <= MAX_BARS else draw_means
    draw(axis, shown, tasks, singles)
    axis.axvline(0.0, color="black", lw=0.8)
    axis.set_yticks(range(len(shown)), [row.run.name for row in shown], fontsize=8)
    axis.set_ylim(len(shown) - 0.5, -0.5)
    axis.set_xlabel("test gain over single-task, paired by seed, 95 % interval")
    axis.legend(fontsize=8)
    return figure


def draw_tasks(
    axis, shown: Sequence[RunScores], tasks: Mapping[str, Task], singles: Mapping[str, RunScores]
) -> None:
    """Draws a bar for every run and task."""
    height = 0.8 / len(tasks)
    for index, (name, color) in enumerate(zip(tasks, color_cycle(), strict=False)):
        pairs = [(y, row) for y, row in enumerate(shown) if comparable(row, name, singles)]
        offset = (index - (len(tasks) - 1) / 2) * height
        values = [paired_gain(row, tasks[name], singles[name]) for _, row in pairs]
        draw_bars(axis, [y + offset for y, _ in pairs], values, height, color=color, label=name)


def draw_means(
    axis, shown: Sequence[RunScores], tasks: Mapping[str, Task], singles: Mapping[str, RunScores]
) -> None:
    """Draws a bar for each run's mean over its tasks, and a dot for every task."""
    by_row = [
        {name: paired_gain(row, tasks[name], singles[name]) for name in tasks
         if comparable(row, name, singles)}
        for row in shown
    ]  # fmt: skip
    pairs = [(y, by_task) for y, by_task in enumerate(by_row) if by_task]
    means = [mean_of([tasks[name] for name in by_task], by_task) for _, by_task in pairs]
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
            "o",
            ms=4,
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
        error_kw={"lw": 0.8},
        **style,
    )
