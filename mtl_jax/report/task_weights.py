"""Figure of the weights that balancing gives to the tasks over steps."""

from collections.abc import Mapping

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.report.columns import tasks_of
from mtl_jax.report.plotting import (
    add_legend,
    colors_of,
    panel_rows,
    paper_figure,
    set_title,
    share_axes,
)
from mtl_jax.storage.run_directory import RunDirectory

MAX_PANELS = 24
MAX_NAMES = 10  # Tasks in the legend.
MAX_RATIO = 20.0  # Of the largest weights of two runs, above which the axis is logarithmic.


@paper_figure
def balance(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Task weights over steps, a panel for each of the first runs whose weights vary."""
    weights = {run.name: read_weights(run, folders[run.name]) for run in experiment.runs}
    shown = {name: by_task for name, by_task in weights.items() if vary(by_task)}
    if not shown:
        return None
    colors = colors_of(list(tasks_of(experiment)))
    panels = list(shown.items())[:MAX_PANELS]
    figure, (block,) = panel_rows([len(panels)], 1.1)
    largest = [max(np.abs(values).max() for _, values in found.values()) for _, found in panels]
    scale = "symlog" if max(largest) > MAX_RATIO * min(largest) else "linear"
    for (run, by_task), axis in zip(panels, block, strict=True):
        for task, (steps, values) in by_task.items():
            axis.plot(steps, values.mean(1), color=colors[task], label=task)
        axis.axhline(0.0, color="gray", lw=0.5)
        set_title(axis, run)
    share_axes(block, "step", "weight", scale)
    lines = {line.get_label(): line for axis in block for line in axis.get_lines()}
    add_legend(figure, {task: lines[task] for task in colors if task in lines}, MAX_NAMES)
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
