"""Figure of predicted maps of test images, above them the true ones."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.target_type import possible_types, target_type
from mtl_jax.predict.answers import sigmoid
from mtl_jax.report.class_names import class_names
from mtl_jax.report.columns import tasks_of
from mtl_jax.report.image_grid import (
    Draw,
    color_patches,
    comparable_runs,
    draw_image,
    plot_grid,
    predict,
    test_examples,
)
from mtl_jax.report.plotting import add_legend, colors_of, paper_figure
from mtl_jax.report.text_size import short_number
from mtl_jax.storage.run_directory import RunDirectory

MAX_TASKS = 8
MAX_ROWS = 24  # Of labels and predictions of all tasks.
BAR = 0.4  # Inches, the width of a color bar.


class Scale(NamedTuple):
    """How the values of a map are colored; missing ones are white."""

    colormap: Any
    low: float
    high: float


@paper_figure
def plot_label_maps(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Test images, and for each task of every pixel its labels and what each run predicts.

    Predictions are those of the first seed's selected parameters: the most probable class, a
    probability, a number such as depth, or a vector of three numbers such as a normal, whose
    components in [-1, 1] are red, green and blue. Only runs with the data of the first one that has the task
    are shown, of at most 8 tasks, and 12 runs or, with several tasks, fewer; None if there is none.
    A class has the same color in the maps of all tasks.
    """
    tasks = tasks_with_maps(experiment)
    if not tasks:
        return None
    classes = [class_names(*task.runs[0]) for task in tasks if is_class_map(*task.first)]
    colors = colors_of(list(dict.fromkeys(name for names in classes for name in names)))
    rows: dict[str, list[Draw]] = {}
    bars = []  # The rows of each task of numbers.
    for name, runs, images, labels in tasks:
        rows.setdefault("image", [functools.partial(draw_image, each) for each in images])
        scale = scale_of(*runs[0], labels, colors)
        if not is_class_map(runs[0][1], labels) and labels.shape[-1] != 3:
            bars.append(range(len(rows), len(rows) + 1 + len(runs)))
        rows[f"{name}, labels"] = [functools.partial(draw_map, each, scale) for each in labels]
        for run, task in runs:
            outputs = predict(run, name, folders[run.name], images, "its maps are drawn")
            maps = predicted_maps(task, outputs, labels)
            rows[f"{name}, {run.name}"] = [functools.partial(draw_map, m, scale) for m in maps]
    figure = plot_grid(rows, tasks[0].images.shape[1:3], BAR if bars else 0.0)
    add_color_bars(figure, len(rows), bars)
    if colors:
        add_legend(figure, color_patches(list(colors), list(colors.values())))
    return figure


class TaskMaps(NamedTuple):
    """A task with maps, the runs that are shown, and test examples."""

    name: str
    runs: list[tuple[Run, Task]]
    images: np.ndarray  # [n, H, W, C]
    labels: np.ndarray  # [n, H, W] or [n, H, W, C]

    @property
    def first(self) -> tuple[Task, np.ndarray]:
        """The task of the first run, and the labels."""
        return self.runs[0][1], self.labels


def tasks_with_maps(experiment: Experiment) -> list[TaskMaps]:
    """The first tasks with maps, each with as many runs as there is room for, at least one."""
    found = {
        name: comparable_runs(experiment, functools.partial(has_maps, name))
        for name in tasks_of(experiment)
    }
    shown = [(name, runs) for name, runs in found.items() if runs][:MAX_TASKS]
    most = MAX_ROWS // max(1, len(shown)) - 1
    return [TaskMaps(name, runs[:most], *test_examples(runs[0][0], name)) for name, runs in shown]


def add_color_bars(figure: Any, rows: int, bars: Sequence[range]) -> None:
    """Adds a color bar on the right of the rows of each task of numbers."""
    from matplotlib.ticker import MaxNLocator

    axes = np.reshape(figure.axes, (rows, -1))
    for own in bars:
        bar = figure.colorbar(axes[own[0], 0].get_images()[0], ax=axes[list(own)], aspect=30)
        bar.locator, bar.formatter = MaxNLocator(4), short_number


def has_maps(name: str, run: Run, task: Task) -> bool:
    """Whether a task has a name and its labels are maps of images that can be drawn."""
    if task.name != name:
        return False
    try:
        shapes = run.data.shapes()
    except BadInput:  # A finished run is reported without its data, with a warning elsewhere.
        return False
    inputs = jax.tree.leaves(shapes.get("inputs"))  # Several of a dict, none with several streams.
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or name not in shapes:
        return False
    label = shapes[name]
    if len(label.shape) == 3:  # Not boxes `[N, M, 5]`.
        return np.issubdtype(label.dtype, np.integer)
    return len(label.shape) == 4 and label.shape[-1] in (1, 3)


def is_class_map(task: Task, labels: np.ndarray) -> bool:
    """Whether a task predicts classes, whose labels are `[n, H, W]`."""
    return labels.ndim == 3 and "multiclass" in possible_types(task.loss, task.num_outputs)


def scale_of(run: Run, task: Task, labels: np.ndarray, colors: Mapping[str, Any]) -> Scale:
    """The colors of a task's maps: of its classes by name, or of the range of its labels."""
    from matplotlib.colors import ListedColormap

    if is_class_map(task, labels):
        own = [colors[name] for name in class_names(run, task)]
        return Scale(ListedColormap(own), -0.5, len(own) - 0.5)
    known = labels[np.isfinite(labels)]
    return Scale("viridis", *((known.min(), known.max()) if known.size else (0.0, 1.0)))


def predicted_maps(task: Task, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The classes `[n, H, W]`, probabilities or numbers `[n, H, W, C]` predicted for each pixel."""
    if is_class_map(task, labels):
        return outputs.argmax(-1)
    binary = target_type(task.loss, task.num_outputs) == "binary"
    return sigmoid(outputs) if binary else outputs


def draw_map(values: np.ndarray, scale: Scale, axis: Any) -> None:
    """Draws a map of classes `[H, W]`, numbers `[H, W, 1]` or vectors `[H, W, 3]`."""
    if values.ndim == 3 and values.shape[-1] == 3:
        length = np.linalg.norm(values, axis=-1, keepdims=True)
        colors = 0.5 + 0.5 * values / np.maximum(length, 1e-12)
        axis.imshow(np.where(np.isfinite(colors), colors, 1.0))
        return
    plane = values.reshape(values.shape[:2])
    missing = plane < 0 if np.issubdtype(plane.dtype, np.integer) else ~np.isfinite(plane)
    axis.imshow(
        np.ma.masked_array(plane, missing), cmap=scale.colormap, vmin=scale.low, vmax=scale.high,
        interpolation="nearest",
    )  # fmt: skip
