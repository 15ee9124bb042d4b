"""Figure of learning curves: validation metrics over steps, on the same axes for all runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.task import Task
from mtl_jax.report.columns import tasks_of
from mtl_jax.report.formatting import unit
from mtl_jax.report.plotting import (
    GRAY,
    MEDIUM,
    add_legend,
    colors_of,
    panel_rows,
    paper_figure,
    set_title,
    share_axes,
)
from mtl_jax.report.text_size import break_lines
from mtl_jax.storage.run_directory import RunDirectory

MAX_UNITS = 4  # With more tasks measured in units of their own, these share panels.
LABEL = 0.8  # Inches of a line of the vertical label.
STYLES = {"raw": "-", "ema": ":"}


@paper_figure
def curves(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Each task's validation metric over steps, mean and range over seeds, a panel per run.

    A run has a panel for each metric, with the same axes as all other runs; metrics with a unit,
    such as an error in meters, have one for each task or, of many tasks, one logarithmic panel.
    None if there is no finished run: a launch may contain only scikit-learn baselines.
    """
    if not experiment.runs:
        return None
    blocks = metric_blocks(experiment)
    figure, panels = panel_rows([len(runs) for runs in blocks.values()], 1.15)
    colors = colors_of(list(tasks_of(experiment)))
    for (label, runs), block in zip(blocks.items(), panels, strict=True):
        mixed = not all(has_common_axis(task) for tasks in runs.values() for task in tasks[1:])
        for (name, tasks), axis in zip(runs.items(), block, strict=True):
            records = [r for r in folders[name].records() if "validation" in r]
            for task in tasks:
                draw_task(axis, task, records, colors[task.name])
            set_title(axis, name)
        ylabel = break_lines(f"validation {label}", LABEL, MEDIUM)
        share_axes(block, "step", ylabel, "log" if mixed else "linear")
    trained = {task.name for run in experiment.runs for task in run.tasks}
    add_legend(figure, legend_lines({name: colors[name] for name in colors if name in trained}))
    return figure


def legend_lines(colors: Mapping[str, Any]) -> dict[str, Any]:
    """Lines of a legend: a color for each task, and a style for each kind of parameters."""
    from matplotlib.lines import Line2D

    tasks = {name: Line2D([], [], color=color) for name, color in colors.items()}
    return tasks | {
        f"{kind} parameters": Line2D([], [], color=GRAY, ls=style) for kind, style in STYLES.items()
    }


def has_common_axis(task: Task) -> bool:
    """Whether values of a task may share an axis with those of another one."""
    return task.selection_metric.unit_free


def metric_blocks(experiment: Experiment) -> dict[str, dict[str, list[Task]]]:
    """The tasks of each run, by the name of their axis and the run's name."""
    tasks = tasks_of(experiment).values()
    apart = sum(not has_common_axis(task) for task in tasks) <= MAX_UNITS
    blocks: dict[str, dict[str, list[Task]]] = {}
    for run in experiment.runs:
        for task in run.tasks:
            metric = task.selection_metric
            name = f"{metric.name}{unit(metric.scale)}"
            label = f"{task.name} {name}" if apart and not has_common_axis(task) else name
            blocks.setdefault(label, {}).setdefault(run.name, []).append(task)
    return blocks


def draw_task(axis: Any, task: Task, records: Sequence[Mapping[str, Any]], color: Any) -> None:
    """Draws the curves of a task's raw and averaged parameters."""
    steps, metric = [record["step"] for record in records], task.selection_metric
    for kind, style in STYLES.items():
        values = metric.scale * np.array(
            [record["validation"][kind][task.name][metric.name] for record in records]
        )
        axis.plot(steps, values.mean(1), style, color=color, label=f"{task.name} {kind}")
        axis.fill_between(steps, values.min(1), values.max(1), color=color, alpha=0.12, lw=0)
