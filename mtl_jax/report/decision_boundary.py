"""Decision boundaries of runs on two-dimensional data."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.target_type import possible_types
from mtl_jax.report.class_names import class_names
from mtl_jax.report.plotting import (
    COLUMNS,
    GRAY,
    add_legend,
    colors_of,
    label_edges,
    limit_width,
    panel_rows,
    paper_figure,
    set_title,
)
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.trained_params import load_first_seed
from mtl_jax.train import build_model

GRID_SIZE = 120  # Points along each side of the grid.
BOX = 0.75  # Height of a panel over its width.
MARGIN = 0.15  # Margin around the data, as a fraction of its range.


@paper_figure
def plot_decision_boundaries(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """A panel for each run on 2-D points: the predicted class everywhere, and the training labels.

    Uses the first seed's selected parameters; None if no run has 2-D inputs.
    """
    runs = [run for run in experiment.runs if on_points(run)]
    if not runs:
        return None
    figure, (block,) = panel_rows([len(runs)], 1.35)
    names = dict.fromkeys(name for run in runs for name in class_names(run, run.tasks[0]))
    colors = colors_of(list(names))
    for run, axis in zip(runs, block, strict=True):
        draw_panel(axis, run, folders[run.name], colors)
    limit_width(figure, block, BOX)
    label_edges(block, "first input", "second input")
    add_legend(figure, legend_dots(colors))
    return figure


def on_points(run: Run) -> bool:
    """Whether a run classifies points of the plane."""
    try:
        shapes = run.data.shapes()
    except BadInput:  # A finished run is reported without its data, with a warning elsewhere.
        return False
    inputs = jax.tree.leaves(shapes.get("inputs"))  # Several of a dict, none with several streams.
    planar = len(inputs) == 1 and math.prod(inputs[0].shape[1:]) == 2
    return planar and len(run.tasks) == 1 and predicts_classes(run.tasks[0])


def predicts_classes(task: Task) -> bool:
    """Whether a task's outputs may be class logits."""
    return "multiclass" in possible_types(task.loss, task.num_outputs)


def draw_panel(axis: Any, run: Run, folder: RunDirectory, colors: Mapping[str, Any]) -> None:
    """Draws the panel of one run, in the colors of its classes."""
    from matplotlib.colors import ListedColormap

    stream = load_run_data(run).train.streams[""]
    image, label = np.asarray(stream.inputs), stream.labels[run.tasks[0].name]
    if seed_axis(run) == 0:  # Use the first seed.
        image, label = image[0], label[0]
    points = image.reshape(-1, 2)
    low, high = points.min(0), points.max(0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    x, y = np.meshgrid(*(np.linspace(low[i], high[i], GRID_SIZE) for i in (0, 1)))
    grid = np.stack([x.ravel(), y.ravel()], -1).astype(np.float32)
    predicted = predict_classes(run, folder, grid.reshape(-1, *image.shape[1:]))
    own = [colors[name] for name in class_names(run, run.tasks[0])]
    axis.imshow(
        predicted.reshape(x.shape), cmap=ListedColormap(own), vmin=-0.5, vmax=len(own) - 0.5,
        alpha=0.25, extent=(low[0], high[0], low[1], high[1]), origin="lower", aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    axis.scatter(*points.T, s=1, color=GRAY, alpha=0.4, lw=0)
    labelled = stream.labelled.index[0]
    axis.scatter(
        *points[labelled].T,
        s=14,
        lw=0.5,
        c=[own[i] for i in label[labelled]],
        edgecolors="black",
        zorder=3,
    )
    set_title(axis, run.name, COLUMNS)
    axis.set_xticks([])
    axis.set_yticks([])


def legend_dots(colors: Mapping[str, Any]) -> dict[str, Any]:
    """Dots of a legend, by class."""
    from matplotlib.lines import Line2D

    return {
        f"class {name}": Line2D([], [], color=color, marker="o", ls="", mec="black", mew=0.5, ms=4)
        for name, color in colors.items()
    }


def predict_classes(run: Run, folder: RunDirectory, points: np.ndarray) -> np.ndarray:
    """The class of each point predicted with the first seed's selected parameters."""
    name, why = run.tasks[0].name, "its boundaries are drawn"
    params, batch_stats = load_first_seed(run, folder, name, why)
    outputs, _ = build_model(run).apply(params, batch_stats, jnp.asarray(points), train=False)
    return np.asarray(outputs.logits[name].argmax(-1))
