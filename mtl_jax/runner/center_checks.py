"""Checks of the strides that detection by centers is told, which are those of its head."""

import functools
import inspect
from typing import Any

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.validation import require
from mtl_jax.losses.target_type import without_options
from mtl_jax.metrics import MeanAveragePrecision, decode_centers
from mtl_jax.runner.seed_functions import ExampleSpec
from mtl_jax.storage.box_checks import takes_boxes


def check_strides(run: Run, task: Task, outputs: Any, example: ExampleSpec) -> None:
    """Requires that the strides of a loss and of metrics for centers are those of the outputs.

    Raises:
      BadInput: naming run, task and field, with the sizes of the images and of the maps.
    """
    decodes = [m.decode for m in task.metrics if isinstance(m, MeanAveragePrecision) and m.decode]
    functions: list[tuple[str, Any]] = [("loss", task.loss)] if takes_boxes(task) else []
    functions += [("metrics", f) for f in decodes if without_options(f) is decode_centers]
    images = [leaf.shape[:2] for leaf in example.leaves if len(leaf.shape) == 3]
    for field, function in functions if len(images) == 1 else []:
        stride, maps = stride_of(function), outputs["heatmap"].shape[1:3]
        # Padded convolutions round up, others down.
        valid = all(
            n in (side // stride, -(-side // stride))
            for side, n in zip(images[0], maps, strict=True)
        )
        rule = f"must have the stride of the head, whose maps are {maps} of images {images[0]}"
        require(valid, f"run {run.name!r}: task {task.name!r}: Task", field, rule, stride)


def stride_of(function: Any) -> int:
    """The argument `stride` of a function, or its default."""
    if isinstance(function, functools.partial) and "stride" in function.keywords:
        return function.keywords["stride"]
    return inspect.signature(function).parameters["stride"].default
