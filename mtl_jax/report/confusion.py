"""Figure of confusion matrices."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtl_jax.report.class_names import class_names
from mtl_jax.report.class_predictions import ClassPredictions
from mtl_jax.report.plotting import (
    COLUMNS,
    SMALL,
    add_color_bar,
    break_title,
    panel_rows,
    paper_figure,
)
from mtl_jax.report.text_size import break_lines, shorten

MAX_PANELS = 12
MAX_TICKS = 12  # Classes with a name; of more, every n-th has one.
NAME = 0.5  # Inches of a class's name.
PANEL = 1.4  # Inches of a panel's height.


@paper_figure
def plot_confusion(predictions: Sequence[ClassPredictions]):
    """Share of the examples of each class (row) that are predicted as each class (column), on test.

    Each task has rows of panels of its own, which are runs; tasks of one run alone share rows. None
    without predictions of classes.
    """
    shown = predictions[:MAX_PANELS]
    if not shown:
        return None
    by_task: dict[str, list[ClassPredictions]] = {}
    for each in shown:
        by_task.setdefault(each.task.name, []).append(each)
    alone = len(by_task) == len(shown)
    rows = [shown] if alone else list(by_task.values())
    figure, blocks = panel_rows([len(own) for own in rows], PANEL + 0.75, 3 if alone else COLUMNS)
    for own, block in zip(rows, blocks, strict=True):
        for index, (each, axis) in enumerate(zip(own, block, strict=True)):
            columns = axis.get_gridspec().ncols
            draw_matrix(axis, each, left=alone or index % columns == 0)
            title = break_title(each.run.name, columns, NAME + 0.3 if alone else 0.0)
            axis.set_title(title, fontsize=SMALL)
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


def confusion_matrix(predictions: ClassPredictions) -> np.ndarray:
    """Shares `[Z, Z]` of the labels of each true class; 0 for a class without labels."""
    count = predictions.probabilities.shape[-1]
    known = predictions.labels >= 0
    predicted = predictions.probabilities.argmax(-1)[known]
    pairs = predictions.labels[known] * count + predicted
    matrix = np.bincount(pairs, minlength=count**2).reshape(count, count)
    return matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
