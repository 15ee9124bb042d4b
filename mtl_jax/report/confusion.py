"""Figure of confusion matrices."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtl_jax.report.class_names import class_names
from mtl_jax.report.class_predictions import ClassPredictions
from mtl_jax.report.plotting import SMALL, add_color_bar, panel_rows, paper_figure, set_title
from mtl_jax.report.text_size import break_lines, shorten

MAX_PANELS = 12
MAX_TICKS = 12  # Classes with a name; of more, every n-th has one.
NAME = 0.5  # Inches of a class's name.
PANEL = 1.4  # Inches of a panel's height.


@paper_figure
def plot_confusion(predictions: Sequence[ClassPredictions]):
    """Share of the examples of each class (row) that are predicted as each class (column), on test.

    Rows of panels are tasks and panels are runs. None without predictions of classes.
    """
    shown = predictions[:MAX_PANELS]
    if not shown:
        return None
    by_task: dict[str, list[ClassPredictions]] = {}
    for each in shown:
        by_task.setdefault(each.task.name, []).append(each)
    figure, blocks = panel_rows([len(own) for own in by_task.values()], PANEL + 0.75)
    for own, block in zip(by_task.values(), blocks, strict=True):
        for index, (each, axis) in enumerate(zip(own, block, strict=True)):
            draw_matrix(axis, each, left=index % axis.get_gridspec().ncols == 0)
    figure.set_figheight(figure.get_figheight() + 0.3)  # For the color bar.
    axes = [axis for block in blocks for axis in block]
    add_color_bar(figure, axes, "share of the true class")
    return figure


def draw_matrix(axis: Any, predictions: ClassPredictions, left: bool) -> None:
    """Draws the matrix of a run; the names of true classes only in panels on the left."""
    matrix = confusion_matrix(predictions)
    axis.imshow(matrix, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
    names = [shorten(name, NAME, SMALL) for name in class_names(predictions.run, predictions.task)]
    every = math.ceil(len(names) / MAX_TICKS)
    ticks = range(0, len(names), every)
    upright = max(map(len, names)) > 1
    axis.set_xticks(ticks, names[::every], rotation=90 if upright else 0)
    axis.set_yticks(ticks, names[::every] if left else [""] * len(ticks))
    axis.set_xlabel("predicted")
    if left:
        axis.set_ylabel(break_lines(f"{predictions.task.name}, true", PANEL, SMALL), fontsize=SMALL)
    set_title(axis, predictions.run.name)


def confusion_matrix(predictions: ClassPredictions) -> np.ndarray:
    """Shares `[Z, Z]` of the labels of each true class; 0 for a class without labels."""
    count = predictions.probabilities.shape[-1]
    known = predictions.labels >= 0
    predicted = predictions.probabilities.argmax(-1)[known]
    pairs = predictions.labels[known] * count + predicted
    matrix = np.bincount(pairs, minlength=count**2).reshape(count, count)
    return matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
