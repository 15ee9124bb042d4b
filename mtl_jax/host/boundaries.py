"""Decision boundaries, where an example is a point of the plane."""

import math
import pathlib

import jax
import numpy as np

from mtl_jax.host.canvas import colours_of, grid
from mtl_jax.host.checkpoint import Checkpoints
from mtl_jax.host.folder import Folder
from mtl_jax.host.prepare import load, prepare
from mtl_jax.losses.target_type import possible_types
from mtl_jax.run import Experiment, Run, Task
from mtl_jax.train import net_of

FINE = 120  # Points along each side of the grid.
MARGIN = 0.15  # Of the range, beyond the data.


def boundaries(experiment: Experiment, folders: dict[str, Folder]):
    """A panel for each run on points: the class guessed everywhere, and the labels it had.

    The first seed's averaged parameters after the last step; None where no data are points.
    """
    runs = [run for run in experiment.runs if on_points(run)]
    if not runs:
        return None
    figure, axes = grid(len(runs))
    for run, axis in zip(runs, axes, strict=False):
        panel(axis, run, folders[run.name].checkpoints)
    return figure


def on_points(run: Run) -> bool:
    """Whether a run tells classes of points of the plane."""
    shapes = run.data.shapes()
    plane = "image" in shapes and math.prod(shapes["image"].shape[1:]) == 2
    return plane and len(run.tasks) == 1 and tells_classes(run.tasks[0])


def tells_classes(task: Task) -> bool:
    """Whether a task's outputs are of classes, one of which is the largest."""
    return "multiclass" in possible_types(task.loss, task.outputs)


def panel(axis, run: Run, checkpoints: pathlib.Path) -> None:
    """Draws one run."""
    stream = prepare(run).given.streams[""]
    points = stream.image.reshape(-1, 2)
    label = load(run.data).train[run.tasks[0].name]
    low, high = points.min(0), points.max(0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    across, up = np.meshgrid(*(np.linspace(low[i], high[i], FINE) for i in (0, 1)))
    places = np.stack([across.ravel(), up.ravel()], -1).astype(np.float32)
    guessed = classes(run, checkpoints, places.reshape(-1, *stream.image.shape[1:]))
    names = [str(i) for i in range(run.tasks[0].outputs)]
    colours = [colours_of(names)[name] for name in names]
    edges = np.arange(len(names) + 1) - 0.5
    axis.contourf(across, up, guessed.reshape(across.shape), edges, colors=colours, alpha=0.25)
    axis.scatter(*points.T, s=1, color="grey", alpha=0.4, lw=0)
    known = stream.known.index[0]
    axis.scatter(
        *points[known].T, s=40, c=[colours[i] for i in label[known]], edgecolors="black", zorder=3
    )
    axis.set_title(run.name, fontsize=9)
    axis.set_xticks([])
    axis.set_yticks([])


def classes(run: Run, checkpoints: pathlib.Path, points: np.ndarray) -> np.ndarray:
    """The class of each point by the first seed's averaged parameters."""
    tree = Checkpoints(checkpoints, print).tree(run.steps)
    params, stats = jax.tree.map(lambda leaf: leaf[0], (tree["ema"], tree["stats"]))
    outputs, _ = net_of(run).apply(params, stats, points, train=False)
    return np.asarray(outputs.logits[run.tasks[0].name].argmax(-1))
