"""Figure of detected boxes on test images, above them the true ones."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.metrics import MeanAveragePrecision
from mtl_jax.report.class_names import class_names
from mtl_jax.report.image_grid import (
    color_patches,
    comparable_runs,
    draw_image,
    plot_grid,
    predict,
    test_examples,
)
from mtl_jax.report.plotting import add_legend, colors_of, paper_figure
from mtl_jax.storage.run_directory import RunDirectory

LEAST_SCORE = 0.3  # Of the boxes that are drawn.


class Boxes(NamedTuple):
    """The boxes of an image."""

    corners: np.ndarray  # [M, 4]
    classes: np.ndarray  # [M]


@paper_figure
def plot_detections(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """Test images with their true boxes, and below with those that each run detects.

    Boxes of the first seed's selected parameters with a score of at least 0.3, colored by class.
    Only runs with the data and the task of the first one that detects boxes in images are shown,
    12 at most; None if there is none.
    """
    runs = comparable_runs(experiment, detects)
    if not runs:
        return None
    images, labels = test_examples(runs[0][0], runs[0][1].name)
    rows = {"true boxes": [true_boxes(each) for each in labels]}
    rows |= {run.name: detected_boxes(run, task, folders[run.name], images) for run, task in runs}
    names = class_names(*runs[0])
    colors = list(colors_of(names).values())
    panels = {
        name: [
            functools.partial(draw_boxes, *each, colors) for each in zip(images, boxes, strict=True)
        ]
        for name, boxes in rows.items()
    }
    figure = plot_grid(panels, images.shape[1:3])
    add_legend(figure, color_patches(names, colors))
    return figure


def detects(_: Run, task: Task) -> bool:
    """Whether a task detects boxes."""
    return any(isinstance(metric, MeanAveragePrecision) for metric in task.metrics)


def true_boxes(labels: np.ndarray) -> Boxes:
    """The boxes of a label `[M, 5]`."""
    boxes = labels[labels[:, 0] >= 0]
    return Boxes(boxes[:, 1:], boxes[:, 0].astype(int))


def detected_boxes(run: Run, task: Task, folder: RunDirectory, images: np.ndarray) -> list[Boxes]:
    """The boxes that the first seed's selected parameters detect in each image."""
    outputs = predict(run, task.name, folder, images, "its boxes are drawn")
    metric = next(m for m in task.metrics if isinstance(m, MeanAveragePrecision))
    found = metric.detections(outputs)
    kept = np.asarray(found["scores"]) >= LEAST_SCORE
    return [
        Boxes(np.asarray(corners)[keep], np.asarray(classes)[keep].astype(int))
        for corners, classes, keep in zip(found["boxes"], found["classes"], kept, strict=True)
    ]


def draw_boxes(image: np.ndarray, boxes: Boxes, colors: list, axis: Any) -> None:
    """Draws an image `[H, W, C]` and boxes in the colors of their classes."""
    from matplotlib.patches import Rectangle

    draw_image(image, axis)
    for (x0, y0, x1, y1), kind in zip(boxes.corners, boxes.classes, strict=True):
        axis.add_patch(
            Rectangle(
                (x0, y0), x1 - x0, y1 - y0, edgecolor=colors[kind], facecolor="none", linewidth=1.0
            )
        )
