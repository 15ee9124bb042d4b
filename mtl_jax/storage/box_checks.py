"""Checks of labels that are boxes, `[N, M, 5]` of class, x0, y0, x1 and y1."""

import numpy as np

from mtl_jax.config.task import Task
from mtl_jax.losses.center import center_loss
from mtl_jax.losses.target_type import without_options

RULE = "boxes [N, M, 5], floats of class, x0, y0, x1, y1, with class -1 for padding"


def takes_boxes(task: Task) -> bool:
    """Whether the loss of a task is one of this package for boxes."""
    return without_options(task.loss) is center_loss


def box_kind_fault(shape: tuple[int, ...], dtype: np.dtype, size: str) -> str | None:
    """Error message, to follow "labels", if the shape or dtype is not that of boxes."""
    if dtype.kind == "f" and len(shape) == 3 and shape[2] == 5:
        return None
    return f"are {dtype} {size}; center_loss takes {RULE}"


def box_fault(split: str, values: np.ndarray, classes: int) -> str | None:
    """Error message, to follow the task, for the first box that is none; None if all are."""
    boxes = values[~np.isnan(values).all((1, 2))].reshape(-1, 5)
    boxes = boxes[boxes[:, 0] != -1]
    if len(boxes) == 0:
        return None
    kind, low, high = boxes[:, 0], boxes[:, 1:3], boxes[:, 3:]
    whole = np.isfinite(boxes).all(1)
    rules = (
        ("must be numbers, or NaN in all of an image without a label", whole),
        (f"must have a class from 0 to {classes - 1}", np.isin(kind, range(classes))),
        ("must have an area, x0 < x1 and y0 < y1", (high > low).all(1)),
        ("must lie in the image, which begins at 0", (low >= 0).all(1)),
    )
    for rule, valid in rules:
        if not valid.all():
            return f": a box of the {split} data {rule}, not {boxes[~valid][0].tolist()}"
    if high.max() <= 1:
        return f": the boxes of the {split} data end at {high.max():g}; give pixels, not fractions"
    return None
