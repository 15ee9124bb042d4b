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
    GRAY,
    add_legend,
    colors_of,
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
    artists = {}
    for run, axis in zip(runs, block, strict=True):
        artists |= draw_panel(axis, run, folders[run.name])
    add_legend(figure, artists)
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


def draw_panel(axis: Any, run: Run, folder: RunDirectory) -> dict[str, Any]:
    """Draws the panel of one run, and returns an artist for each class by its name."""
    from matplotlib.lines import Line2D

    stream = load_run_data(run).train.streams[""]
    image, label = stream.inputs, stream.labels[run.tasks[0].name]
    if seed_axis(run) == 0:  # Use the first seed.
        image, label = image[0], label[0]
    points = image.reshape(-1, 2)
    low, high = points.min(0), points.max(0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    x, y = np.meshgrid(*(np.linspace(low[i], high[i], GRID_SIZE) for i in (0, 1)))
    grid = np.stack([x.ravel(), y.ravel()], -1).astype(np.float32)
    predicted = predict_classes(run, folder, grid.reshape(-1, *image.shape[1:]))
    names = class_names(run, run.tasks[0])
    colors = list(colors_of(names).values())
    edges = np.arange(len(names) + 1) - 0.5
    axis.contourf(x, y, predicted.reshape(x.shape), edges, colors=colors, alpha=0.25)
    axis.scatter(*points.T, s=1, color=GRAY, alpha=0.4, lw=0)
    labelled = stream.labelled.index[0]
    axis.scatter(
        *points[labelled].T,
        s=14,
        lw=0.5,
        c=[colors[i] for i in label[labelled]],
        edgecolors="black",
        zorder=3,
    )
    set_title(axis, run.name)
    axis.set_xticks([])
    axis.set_yticks([])
    return {
        f"class {name}": Line2D([], [], color=color, marker="o", ls="", mec="black", mew=0.5, ms=4)
        for name, color in zip(names, colors, strict=True)
    }


def predict_classes(run: Run, folder: RunDirectory, points: np.ndarray) -> np.ndarray:
    """The class of each point predicted with the first seed's selected parameters."""
    name, why = run.tasks[0].name, "its boundaries are drawn"
    params, batch_stats = load_first_seed(run, folder, name, why)
    outputs, _ = build_model(run).apply(params, batch_stats, jnp.asarray(points), train=False)
    return np.asarray(outputs.logits[name].argmax(-1))
