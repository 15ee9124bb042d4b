"""Figure of the gains of each run over the single-task baselines."""

import math

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.task import Task
from mtl_jax.metrics.comparison import confidence_interval, verdicts
from mtl_jax.report.plotting import colour_cycle, new_figure
from mtl_jax.report.scores import RunScores, baselines, comparable, mean_of, paired_gain, tasks_of

MOST_BARS = 6  # With more tasks, each task is a dot and their mean a bar.
VERDICTS = {"helped": "tab:green", "open": "0.55", "hurt": "tab:red"}


def gains(experiment: Experiment, rows: list[RunScores]):
    """Gain of each task of a run over single-task, paired by seed, higher is better.

    With few tasks, each has a bar with its interval. With many, each is a dot in the colour of
    its verdict, and the bar is their mean if they are measured in the same unit.
    """
    singles, tasks = baselines(experiment, rows), tasks_of(experiment)
    shown = [row for row in rows if row.run.name not in experiment.baselines]
    if not shown or not all(task in singles for task in tasks):
        return None
    figure = new_figure(7.0, 0.8 + 0.32 * len(shown), layout="constrained")
    axis = figure.subplots()
    draw = each_task if len(tasks) <= MOST_BARS else mean_and_dots
    draw(axis, shown, tasks, singles)
    axis.axvline(0.0, color="black", lw=0.8)
    axis.set_yticks(range(len(shown)), [row.run.name for row in shown], fontsize=8)
    axis.set_ylim(len(shown) - 0.5, -0.5)
    axis.set_xlabel("test gain over single-task, paired by seed, 95 % interval")
    axis.legend(fontsize=8)
    return figure


def each_task(
    axis, shown: list[RunScores], tasks: dict[str, Task], singles: dict[str, RunScores]
) -> None:
    """Draws a bar for every run and task."""
    height = 0.8 / len(tasks)
    for place, (name, colour) in enumerate(zip(tasks, colour_cycle(), strict=False)):
        there = [(y, row) for y, row in enumerate(shown) if comparable(row, name, singles)]
        offset = (place - (len(tasks) - 1) / 2) * height
        found = [paired_gain(row, tasks[name], singles[name]) for _, row in there]
        bars(axis, [y + offset for y, _ in there], found, height, color=colour, label=name)


def mean_and_dots(
    axis, shown: list[RunScores], tasks: dict[str, Task], singles: dict[str, RunScores]
) -> None:
    """Draws a bar for each run's mean over its tasks, and a dot for every task."""
    found = [
        {name: paired_gain(row, tasks[name], singles[name]) for name in tasks
         if comparable(row, name, singles)}
        for row in shown
    ]  # fmt: skip
    there = [(y, each) for y, each in enumerate(found) if each]
    means = [mean_of([tasks[name] for name in each], each) for _, each in there]
    if there and all(mean is not None for mean in means):
        bars(axis, [y for y, _ in there], means, 0.6, color="0.85", label="mean over tasks")
    every = [(gain, y) for y, each in enumerate(found) for gain in each.values()]
    said = verdicts([gain for gain, _ in every])
    for kind, colour in VERDICTS.items():
        dots = [
            (gain.mean(), y)
            for (gain, y), verdict in zip(every, said, strict=True)
            if verdict == kind
        ]
        places = np.reshape(dots, (-1, 2)).T
        axis.plot(*places, "o", ms=4, mew=0, alpha=0.8, color=colour, label=f"a task, {kind}")


def bars(axis, places: list[float], found: list[np.ndarray], height: float, **look) -> None:
    """Draws bars of means over seeds `[S]` with intervals; a single seed has no interval."""
    spreads = [confidence_interval(values) for values in found]
    axis.barh(
        places,
        [mean for mean, _ in spreads],
        height,
        xerr=[0.0 if math.isnan(half) else half for _, half in spreads],
        error_kw={"lw": 0.8},
        **look,
    )
