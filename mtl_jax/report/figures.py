"""Figures of an experiment: curves, weights, gains, effects, affinities, trade-offs, predictions."""

import math
import pathlib
from collections.abc import Mapping

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.report.affinity import affinity
from mtl_jax.report.columns import tasks_of
from mtl_jax.report.decision_boundary import plot_decision_boundaries
from mtl_jax.report.detections import plot_detections
from mtl_jax.report.effects import effects
from mtl_jax.report.gains import gains
from mtl_jax.report.label_maps import plot_label_maps
from mtl_jax.report.pareto_front import plot_pareto_front
from mtl_jax.report.plotting import colors_of, subplot_grid
from mtl_jax.report.scores import collect
from mtl_jax.storage.run_directory import RunDirectory

MAX_PANELS = 24  # Panels in the figure of weights.
MAX_NAMES = 10  # Tasks in the legend of weights.


def write(experiment: Experiment, folders: Mapping[str, RunDirectory], root: pathlib.Path) -> None:
    """Writes the figures of an experiment, each only if there is something to show.

    These are `curves.png`, `gains.png`, `effects.png`, `balance.png`, `affinity.png`,
    `tradeoff.png`, `boundaries.png`, `detections.png` and `maps.png`; a figure of an earlier launch
    that no longer applies is removed.
    """
    rows = collect(experiment, folders)
    figures = {
        "curves": curves(experiment, folders),
        "gains": gains(experiment, rows),
        "balance": balance(experiment, folders),
        "effects": effects(experiment, rows),
        "affinity": affinity(experiment, folders),
        "tradeoff": plot_pareto_front(experiment, rows),
        "boundaries": plot_decision_boundaries(experiment, folders),
        "detections": plot_detections(experiment, folders),
        "maps": plot_label_maps(experiment, folders),
    }
    for name, figure in figures.items():
        path = root / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            figure.savefig(path, dpi=120)


def curves(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """A panel per run: each task's validation metric over steps, mean and range over seeds.

    None if there is no finished run: a launch may contain only scikit-learn baselines.
    """
    if not experiment.runs:
        return None
    figure, axes = subplot_grid(len(experiment.runs))
    colors = colors_of(list(tasks_of(experiment)))
    for run, axis in zip(experiment.runs, axes, strict=False):
        records = [r for r in folders[run.name].records() if "validation" in r]
        steps = [record["step"] for record in records]
        for task in run.tasks:
            for kind, style in (("raw", "-"), ("ema", ":")):
                values = task.selection_metric.scale * np.array(
                    [r["validation"][kind][task.name][task.selection_metric.name] for r in records]
                )
                axis.plot(
                    steps,
                    values.mean(1),
                    style,
                    color=colors[task.name],
                    label=f"{task.name} {kind}",
                )
                axis.fill_between(
                    steps, values.min(1), values.max(1), color=colors[task.name], alpha=0.12, lw=0
                )
        axis.set_title(run.name, fontsize=9)
        axis.tick_params(labelsize=7)
    # Not every panel has every task, so there is one legend for the figure.
    lines = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    figure.legend(lines.values(), lines.keys(), loc="upper right", fontsize=7)
    figure.supxlabel("step", y=0.1 / figure.get_figheight(), fontsize=9)
    figure.supylabel("validation", x=0.05 / figure.get_figwidth(), fontsize=9)
    return figure


def balance(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Task weights over steps, a panel for each of the first runs whose weights vary."""
    weights = {run.name: read_weights(run, folders[run.name]) for run in experiment.runs}
    shown = {name: by_task for name, by_task in weights.items() if vary(by_task)}
    if not shown:
        return None
    colors = colors_of(list(tasks_of(experiment)))
    panels = list(shown.items())[:MAX_PANELS]
    figure, axes = subplot_grid(len(panels))
    for (run, by_task), axis in zip(panels, axes, strict=False):
        for task, (steps, values) in by_task.items():
            axis.plot(steps, values.mean(1), color=colors[task], label=task)
        axis.axhline(0.0, color="grey", lw=0.5)
        axis.set_title(run, fontsize=9)
        axis.tick_params(labelsize=7)
    lines = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    names = [task for task in colors if task in lines]
    names = names[:: math.ceil(len(names) / MAX_NAMES)]
    figure.legend([lines[task] for task in names], names, loc="upper right", fontsize=7)
    figure.supxlabel("step", y=0.1 / figure.get_figheight(), fontsize=9)
    figure.supylabel("weight", x=0.05 / figure.get_figwidth(), fontsize=9)
    return figure


def vary(weights: Mapping[str, tuple[list[int], np.ndarray]]) -> bool:
    """Whether there are several tasks and their weights are not all constant."""
    return len(weights) > 1 and any(np.ptp(values) > 0 for _, values in weights.values())


def read_weights(run: Run, folder: RunDirectory) -> dict[str, tuple[list[int], np.ndarray]]:
    """Recorded steps `[T]` and weights `[T, S]` of a run, by task."""
    records = folder.records()
    steps = [record["step"] for record in records]
    return {
        task.name: (steps, np.array([record["train"][f"weight/{task.name}"] for record in records]))
        for task in run.tasks
        if records and f"weight/{task.name}" in records[0]["train"]
    }
