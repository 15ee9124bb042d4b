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
MAX_TASKS = 15  # Of more in a panel, the distribution is drawn.
LABEL = 0.8  # Inches of a line of the vertical label.
STYLES = {"raw": "-", "ema": ":"}
BAND = "#0072B2"
BANDS = (((0, 100), 0.15), ((25, 75), 0.3))  # Percentiles, and opacity.


@paper_figure
def curves(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Each task's validation metric over steps, mean and range over seeds, a panel per run.

    A run has a panel for each metric, with the same axes as all other runs; metrics with a unit,
    such as an error in meters, have one for each task or, of many tasks, one logarithmic panel.
    Of more than 15 tasks without units, a panel shows median, quartiles and range over tasks
    instead. None if there is no finished run: a launch may contain only scikit-learn baselines.
    """
    if not experiment.runs:
        return None
    blocks = metric_blocks(experiment)
    figure, panels = panel_rows([len(runs) for runs in blocks.values()], 1.15)
    colors = task_colors(experiment, blocks)
    for (label, runs), block in zip(blocks.items(), panels, strict=True):
        mixed = not all(has_common_axis(task) for tasks in runs.values() for task in tasks[1:])
        for (name, tasks), axis in zip(runs.items(), block, strict=True):
            records = [r for r in folders[name].records() if "validation" in r]
            if is_distribution(tasks):
                draw_distribution(axis, tasks, records)
            else:
                for task in tasks:
                    draw_task(axis, task, records, colors.get(task.name, "black"))
            set_title(axis, name)
        ylabel = break_lines(f"validation {label}", LABEL, MEDIUM)
        share_axes(block, "step", ylabel, "log" if mixed else "linear")
    panels = [tasks for runs in blocks.values() for tasks in runs.values()]
    add_legend(figure, legend_entries(colors, any(map(is_distribution, panels))))
    return figure


def is_distribution(tasks: Sequence[Task]) -> bool:
    """Whether a panel shows the distribution over its tasks."""
    return len(tasks) > MAX_TASKS and all(map(has_common_axis, tasks))


def task_colors(
    experiment: Experiment, blocks: Mapping[str, Mapping[str, Sequence[Task]]]
) -> dict[str, Any]:
    """A color for each task that is trained; of many, for those that share a panel with a few."""
    panels = [tasks for runs in blocks.values() for tasks in runs.values()]
    if any(map(is_distribution, panels)):
        panels = [tasks for tasks in panels if len(tasks) > 1 and not is_distribution(tasks)]
    trained = {task.name for tasks in panels for task in tasks}
    colors = colors_of(list(tasks_of(experiment)))
    return {name: color for name, color in colors.items() if name in trained}


def legend_entries(colors: Mapping[str, Any], distribution: bool) -> dict[str, Any]:
    """Artists for each task, distributions over tasks, and each kind of parameters."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: dict[str, Any] = {name: Line2D([], [], color=c) for name, c in colors.items()}
    if distribution:
        entries["median over tasks"] = Line2D([], [], color="black")
        bands = zip(("range", "quartiles"), BANDS, strict=True)
        entries |= {f"{n} over tasks": Patch(color=BAND, alpha=a, lw=0) for n, (_, a) in bands}
    return entries | {
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
    steps = [record["step"] for record in records]
    for kind, style in STYLES.items():
        values = validation_values(task, records, kind)
        axis.plot(steps, values.mean(1), style, color=color, label=f"{task.name} {kind}")
        axis.fill_between(steps, values.min(1), values.max(1), color=color, alpha=0.12, lw=0)


def draw_distribution(
    axis: Any, tasks: Sequence[Task], records: Sequence[Mapping[str, Any]]
) -> None:
    """Draws the distribution over tasks of the means over seeds; bands are of raw parameters."""
    steps = [record["step"] for record in records]
    for kind, style in STYLES.items():
        values = np.stack([validation_values(task, records, kind).mean(1) for task in tasks], 1)
        axis.plot(steps, np.median(values, 1), style, color="black", label=f"median {kind}")
        for (low, high), alpha in BANDS if kind == "raw" else ():
            band = np.percentile(values, (low, high), 1)
            axis.fill_between(steps, *band, color=BAND, alpha=alpha, lw=0)


def validation_values(task: Task, records: Sequence[Mapping[str, Any]], kind: str) -> np.ndarray:
    """The first metric of a task `[T, S]`, in the unit of tables."""
    metric = task.selection_metric
    return metric.scale * np.array(
        [record["validation"][kind][task.name][metric.name] for record in records]
    )
