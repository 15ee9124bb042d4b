"""Figure of pseudo-labels by class over training: which classes are found, and which take over."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.report.class_names import class_names
from mtl_jax.report.hidden_counts import HiddenCounts, ratio, read_hidden_counts
from mtl_jax.report.plotting import (
    SMALL,
    add_color_bar,
    label_edges,
    panel_rows,
    paper_figure,
    set_title,
)
from mtl_jax.report.text_size import short_number, shorten
from mtl_jax.storage.run_directory import RunDirectory

MAX_PANELS = 12  # Of each quantity.
MAX_TICKS = 10  # Classes with a name; of more, every n-th has one.
NAME = 0.5  # Inches of a class's name.
HEIGHT = 1.5  # Inches of a panel with its title and labels.


class Quantity(NamedTuple):
    """A number `[T, C]` that is drawn in colors."""

    label: str
    numerator: str
    cmap: str
    limit: float


# Blue is too rare a prediction, and red too frequent a one.
QUANTITIES = (
    Quantity("recall: share of a class that is predicted as it", "correct", "Blues", 1.0),
    Quantity("times a class is predicted / times it is true", "predicted", "coolwarm", 2.0),
)


class Panel(NamedTuple):
    """The counts of a run's task."""

    run: Run
    task: Task
    counts: HiddenCounts


@paper_figure
def plot_pseudo_label_classes(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Recall and frequency of each class (row) among the pseudo-labels over steps (columns).

    They are those of the predictions for the training examples with hidden labels, of all seeds
    together. Panels are runs and their tasks, the first 12. None if no run has hidden labels.
    """
    panels = [
        Panel(run, task, counts[task.name])
        for run in experiment.runs
        for counts in [read_hidden_counts(run, folders[run.name])]
        for task in run.tasks
        if task.name in counts
    ][:MAX_PANELS]
    if not panels:
        return None
    figure, blocks = panel_rows([len(panels)] * len(QUANTITIES), HEIGHT)
    for quantity, block in zip(QUANTITIES, blocks, strict=True):
        draw_block(panels, block, quantity)
        add_color_bar(figure, block, quantity.label)
    return figure


def draw_block(panels: list[Panel], axes: list[Any], quantity: Quantity) -> None:
    """Draws a quantity; the names of classes only on the left if all panels are of one task."""
    columns = axes[0].get_gridspec().ncols
    several = len({panel.task.name for panel in panels}) > 1
    for index, (panel, axis) in enumerate(zip(panels, axes, strict=True)):
        draw_panel(axis, panel, quantity)
        set_title(axis, f"{panel.run.name}, {panel.task.name}" if several else panel.run.name)
        axis.tick_params(labelleft=several or index % columns == 0)
    label_edges(axes, "step", "class")


def draw_panel(axis: Any, panel: Panel, quantity: Quantity) -> None:
    """Draws a quantity of a run; gray where no example of a class has a hidden label."""
    counts = panel.counts
    shares = ratio(getattr(counts, quantity.numerator).sum(1), counts.true.sum(1))
    axis.set_facecolor("0.7")
    axis.imshow(shares.T, cmap=quantity.cmap, vmin=0.0, vmax=quantity.limit, aspect="auto")
    names = [shorten(name, NAME, SMALL) for name in class_names(panel.run, panel.task)]
    every = math.ceil(len(names) / MAX_TICKS)
    axis.set_yticks(range(0, len(names), every), names[::every])
    last = len(counts.steps) - 1
    ticks = np.unique(np.linspace(0, last, min(3, last + 1)).round().astype(int))
    axis.set_xticks(ticks, [short_number(counts.steps[tick]) for tick in ticks])
