"""Compares predictions with labels that are hidden from training: the quality of pseudo-labels."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.task import Task
from mtl_jax.core.metric import Metric
from mtl_jax.core.model import Model
from mtl_jax.core.step_types import DataArray
from mtl_jax.core.target_types import TargetType
from mtl_jax.core.tree import take
from mtl_jax.losses.masked import known_entries
from mtl_jax.metrics.entries import class_entries
from mtl_jax.train.evaluate import evaluate_split

CONFIDENCE = 0.95  # The threshold of FixMatch, Sohn et al., NeurIPS 2020.
COUNTS = ("true", "predicted", "correct", "confident", "confident_correct")


class HiddenLabels(NamedTuple):
    """Training examples of a stream with a label that is known, but hidden from training."""

    index: DataArray  # [n], in the stream.
    mask: dict[str, DataArray]  # By task, [n], whether its label is hidden.


@dataclasses.dataclass(frozen=True)
class ClassCounts(Metric):
    """Numbers of entries by class, `[5, C]`, in the order of `COUNTS`.

    These are the entries of each true class, of each predicted class, and those where the two
    agree; then the predictions of a probability of at least `CONFIDENCE`, and the correct ones
    among them, by predicted class. A single logit has two classes.
    """

    name: ClassVar[str] = "counts"
    target_types: ClassVar[tuple[TargetType, ...]] = ("multiclass", "binary")
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps logits `[B, ..., C]`, classes `[B, ...]` and a mask `[B]` to int32 `[5, C]`."""
        if logits.shape[-1] == 1:
            labels = labels.reshape(logits.shape[:-1])
            logits = jnp.concatenate([jnp.zeros_like(logits), logits], -1)
        if jnp.issubdtype(labels.dtype, jnp.floating):
            labels = jnp.where(jnp.isnan(labels), -1.0, labels).astype(jnp.int32)
        logits, labels, known = class_entries(self.name, logits, labels, mask)
        size = logits.shape[-1]
        known = known & (labels < size)
        predicted = logits.argmax(-1).astype(jnp.int32)
        correct = predicted == labels
        confident = jax.nn.softmax(logits).max(-1) >= CONFIDENCE
        counted = (
            (labels, known),
            (predicted, known),
            (predicted, known & correct),
            (predicted, known & confident),
            (predicted, known & confident & correct),
        )
        return jnp.stack([count_classes(classes, inside, size) for classes, inside in counted])

    def compute(self, sums: jax.Array) -> jax.Array:
        """The counts `[5, C]`."""
        return sums


def count_classes(classes: jax.Array, inside: jax.Array, size: int) -> jax.Array:
    """Numbers of entries of each class, int32 `[C]`, from classes and a mask `[M]`."""
    return (
        jnp.zeros(size, jnp.int32).at[jnp.where(inside, classes, 0)].add(inside.astype(jnp.int32))
    )


def evaluate_hidden(
    net: Model,
    tasks: tuple[Task, ...],
    params: Any,
    stats: Any,
    streams: Mapping[str, Mapping[str, Any]],
    hidden: Mapping[str, HiddenLabels],
) -> dict[str, dict[str, jax.Array]]:
    """Counts by class of one seed's predictions for examples with hidden labels.

    Inputs are not augmented, and predictions are those that a method may yet align or sharpen. The
    counts are only reported: hidden labels are not trained on, and select and stop nothing.

    Args:
      net: the model.
      tasks: all tasks of the model.
      params: its parameters.
      stats: its running statistics.
      streams: the training data by stream: "inputs" `[N, ...]` and labels `[N, ...]`.
      hidden: by stream, the examples, and the tasks to evaluate.

    Returns:
      By task and name in `COUNTS`, `[C]`; NaN where an output of the task is not finite.
    """
    found = {}
    for name, own in hidden.items():
        arrays = {key: take(streams[name][key], own.index) for key in ("inputs", *own.mask)}
        for task, mask in own.mask.items():
            missing = jnp.nan if jnp.issubdtype(arrays[task].dtype, jnp.floating) else -1
            arrays[task] = jnp.where(known_entries(arrays[task], mask), arrays[task], missing)
        measured = tuple(
            task.replace(metrics=(ClassCounts(),)) for task in tasks if task.name in own.mask
        )
        metrics = evaluate_split(net, measured, params, stats, arrays).metrics
        for task, values in metrics.items():
            found[task] = dict(zip(COUNTS, values[ClassCounts.name], strict=True))
    return found
