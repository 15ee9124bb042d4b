"""Figure of detected boxes on test images, beside the true ones."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.metrics import MeanAveragePrecision
from mtl_jax.report.plotting import colors_of, new_figure
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.trained_params import load_trained_params
from mtl_jax.train import build_model
from mtl_jax.train.views import as_float

NUM_IMAGES = 3
MAX_RUNS = 5
LEAST_SCORE = 0.3  # Of the boxes that are drawn.


class Boxes(NamedTuple):
    """The boxes of an image."""

    corners: np.ndarray  # [M, 4]
    classes: np.ndarray  # [M]


def plot_detections(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """A row for each of the first test images: true boxes, and those of the first runs.

    Boxes of the first seed's selected parameters with a score of at least 0.3, colored by class.
    Only runs with the data and the task of the first one that detects boxes in images are shown;
    None if there is none.
    """
    runs = [(run, task) for run in experiment.runs for task in run.tasks if detects(run, task)]
    if not runs:
        return None
    first, own = runs[0]
    runs = [(r, t) for r, t in runs if (r.data, t.name) == (first.data, own.name)][:MAX_RUNS]
    images, labels = test_images(first, own)
    columns = {"true boxes": [true_boxes(each) for each in labels]}
    columns |= {
        run.name: detected_boxes(run, task, folders[run.name], images) for run, task in runs
    }
    height, width = images.shape[1:3]
    figure = new_figure(2.4 * len(columns), 2.4 * len(images) * height / width + 0.3, "constrained")
    axes = figure.subplots(len(images), len(columns), squeeze=False)
    names = [str(index) for index in range(own.num_outputs)]
    colors = [colors_of(names)[name] for name in names]
    for column, (name, boxes) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(name, fontsize=8)
        for axis, image, found in zip(column, images, boxes, strict=True):
            draw_boxes(axis, image, found, colors)
    return figure


def detects(run: Run, task: Task) -> bool:
    """Whether a task detects boxes in images that are the same for every seed."""
    metrics = any(isinstance(metric, MeanAveragePrecision) for metric in task.metrics)
    return metrics and seed_axis(run) is None


def test_images(run: Run, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """The first images `[n, H, W, C]` of the test data, and the boxes `[n, M, 5]` of a task."""
    streams = load_run_data(run).splits["test"].values()
    arrays = next(stream for stream in streams if task.name in stream)
    return np.asarray(arrays["inputs"][:NUM_IMAGES]), np.asarray(arrays[task.name][:NUM_IMAGES])


def true_boxes(labels: np.ndarray) -> Boxes:
    """The boxes of a label `[M, 5]`."""
    boxes = labels[labels[:, 0] >= 0]
    return Boxes(boxes[:, 1:], boxes[:, 0].astype(int))


def detected_boxes(run: Run, task: Task, folder: RunDirectory, images: np.ndarray) -> list[Boxes]:
    """The boxes that the first seed's selected parameters detect in each image."""
    models = load_trained_params(run, folder, "selected", task.name, "its boxes are drawn")
    params, stats = jax.tree.map(lambda leaf: leaf[0], models)
    outputs, _ = build_model(run).apply(params, stats, as_float(jnp.asarray(images)), train=False)
    metric = next(m for m in task.metrics if isinstance(m, MeanAveragePrecision))
    found = metric.detections(jax.device_get(outputs.logits[task.name]))
    kept = np.asarray(found["scores"]) >= LEAST_SCORE
    return [
        Boxes(np.asarray(corners)[keep], np.asarray(classes)[keep].astype(int))
        for corners, classes, keep in zip(found["boxes"], found["classes"], kept, strict=True)
    ]


def draw_boxes(axis, image: np.ndarray, boxes: Boxes, colors: list) -> None:
    """Draws an image `[H, W, C]` and boxes in the colors of their classes."""
    from matplotlib.patches import Rectangle

    gray = image.shape[-1] == 1
    axis.imshow(image[..., 0] if gray else image[..., :3], cmap="gray" if gray else None,
                extent=(0, image.shape[1], image.shape[0], 0))  # fmt: skip
    for (x0, y0, x1, y1), kind in zip(boxes.corners, boxes.classes, strict=True):
        axis.add_patch(
            Rectangle(
                (x0, y0), x1 - x0, y1 - y0, edgecolor=colors[kind], facecolor="none", linewidth=1.0
            )
        )
    axis.set_xticks([])
    axis.set_yticks([])
