"""Cross-task consistency of partially labelled examples, a step extension."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.features import Pyramid, Shape, features_at, positions_of
from mtl_jax.core.head_key import HeadKey
from mtl_jax.core.head_specs import CrossTaskEmbedding
from mtl_jax.core.model import trunk_features
from mtl_jax.core.step_extension import ExtraLosses, StepContext, StepExtension
from mtl_jax.core.step_types import Outputs, StreamInputs
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.losses.masked import known_entries
from mtl_jax.losses.target_type import target_type


@typechecked
@dataclasses.dataclass(frozen=True)
class CrossTask(StepExtension):
    """Cross-task consistency of partially labelled examples.

    For every labelled example and every pair of a task s whose label is missing and a task t
    whose label is known, `weight` times the `cross_task` loss of the embeddings
    `m(prediction of s)` and `m(label of t)` is added to the loss of s. m is one small model for
    all pairs, with a separate first layer per task and a scale and a shift of each layer per
    pair; its outputs have the dimension of the features. For maps and sequences its two layers
    are convolutions, features are resized to the positions of the outputs, and the loss of an
    example is the mean over the positions where the label of t is known. All tasks must have the
    same positions.

    Attributes:
      weight: weight of the loss, a mean over the B labelled examples.
      feature_weight: weight of matching both embeddings to the features.
      width: width of m's hidden layer.

    Raises:
      BadInput: for a negative weight, or a width below 1; when a model is made, for tasks with
        other positions than the first.

    Reference: Li, Liu and Bilen, Learning Multiple Dense Prediction Tasks from Partially
      Annotated Data, CVPR 2022, Section 3 (https://arxiv.org/abs/2111.14893). In the paper m is
      SegNet's encoder, compared with the features at its stride of 32, and receives Gumbel samples
      of classes from another crop of the image; here it receives the probabilities.
    """

    weight: float = 2.0
    feature_weight: float = 0.5
    width: int = 64

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), feature_weight=(0.0, math.inf))
        require_int(self, width=1)

    name = "cross_task"

    def check(self, run: Any) -> None:
        """Requires at least two tasks."""
        names = [task.name for task in run.tasks]
        rule = "with CrossTask needs at least two tasks"
        require(len(names) > 1, run, "extensions", rule, names)

    def head_specs(self, run: Any) -> dict[str, CrossTaskEmbedding]:
        """Specification of the embedding model m."""
        return {HeadKey("", "relation").name: CrossTaskEmbedding(self.width)}

    def extra_losses(self, context: StepContext) -> ExtraLosses:
        """Consistency losses with the labels of the other tasks, by task.

        A pair of tasks counts for a labelled example if the label of the first is missing and
        that of the second is known (for a vector, all entries); the mean is over all B examples.
        """
        added = {}
        for stream, outputs in zip(context.streams, context.outputs, strict=True):
            for task in stream.tasks:
                others = (name for name in stream.tasks if name != task)
                pairs = (pair_loss(self, context, stream, outputs, task, o) for o in others)
                added[task] = self.weight * sum(pairs, jnp.zeros(()))
        return ExtraLosses(added, (), {})


def pair_loss(
    setting: CrossTask,
    context: StepContext,
    stream: StreamInputs,
    outputs: Outputs,
    task: str,
    other: str,
) -> jax.Array:
    """Mean loss `[]` between the predictions of a task and the labels of another one."""
    tasks, batch = {task.name: task for task in context.run.tasks}, stream.batch
    order = list(tasks)
    pair = order.index(task) * len(order) + order.index(other)
    label, said = batch.labels[other], outputs["labelled"][task]
    shape = positions_of(said)
    known = known_entries(label, batch.mask[other])
    known = known.all(tuple(range(1 + len(shape), known.ndim)))
    prediction = class_probabilities(tasks[task], said, batch.labels[task])
    encoded = encode_labels(label, known, outputs["labelled"][other].shape[-1])
    values = {task: prediction, other: encoded}
    embedded = context.model.embed_cross_task(context.heads, values, pair)
    features = features_of(context.features[task][0], shape)[: len(label)]
    weight = setting.feature_weight
    each = cross_task(embedded[task], embedded[other], features, feature_weight=weight)
    known, each = (leaf.reshape(len(label), -1) for leaf in (known, each))
    counted = known & ~batch.mask[task][:, None]
    total = jnp.where(counted, each, 0.0).sum(1)
    return (total / jnp.maximum(counted.sum(1).astype(total.dtype), 1.0)).mean()


def features_of(features: Any, shape: Shape) -> jax.Array:
    """Features `[N, *P, D]` at positions, of the coarsest map of a pyramid, or `[N, ..., 1, D]`."""
    features = trunk_features(features)
    found = features_at(features.maps[-1] if isinstance(features, Pyramid) else features, shape)
    if found.ndim == 2 + len(shape):
        return found
    return found.reshape(len(found), *(1,) * len(shape), -1)


def cross_task(
    prediction: jax.Array, label: jax.Array, features: jax.Array, *, feature_weight: float = 0.5
) -> jax.Array:
    """`1 - cos(p, l) + w ((1 - cos(p, f)) + (1 - cos(l, f)))`, per example.

    The second term prevents a collapse to constant embeddings. No gradient with respect to f.

    Args:
      prediction: embeddings p of the predictions of the task without a label, `[..., D]`.
      label: embeddings l of the labels of the other task, `[..., D]`.
      features: features f, `[..., D]`.
      feature_weight: weight w of the second term.

    Returns:
      The loss `[...]`.

    Reference: Li, Liu and Bilen, CVPR 2022, Section 3 (https://arxiv.org/abs/2111.14893).
    """
    features = jax.lax.stop_gradient(features)
    distance = 2.0 - cosine(prediction, features) - cosine(label, features)
    return 1.0 - cosine(prediction, label) + feature_weight * distance


def cosine(one: jax.Array, other: jax.Array) -> jax.Array:
    """Cosine similarity of vectors `[..., D]`; 0, without gradient, where one of them is 0."""
    squares = jnp.square(one).sum(-1) * jnp.square(other).sum(-1)
    fine = squares > 0
    # Both branches must be finite, or the gradient at 0 is NaN.
    length = jnp.sqrt(jnp.where(fine, squares, 1.0))
    return jnp.where(fine, (one * other).sum(-1) / length, 0.0)


def class_probabilities(task: Any, outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Maps outputs `[B, *P, C]` to predictions: probabilities, or continuous outputs unchanged.

    A user-defined loss is treated as multiclass if labels are integers, else as continuous.
    """
    kind = target_type(task.loss, task.num_outputs)
    if kind in ("binary", "multilabel"):
        return jax.nn.sigmoid(outputs)
    if kind is None:
        kind = "multiclass" if jnp.issubdtype(labels.dtype, jnp.integer) else "continuous"
    return jax.nn.softmax(outputs) if kind == "multiclass" else outputs


def encode_labels(labels: jax.Array, known: jax.Array, size: int) -> jax.Array:
    """Encodes labels like predictions `[B, *P, C]`: one-hot or floats, zeros where missing.

    Args:
      labels: `[B, *P]` or `[B, *P, C]`.
      known: bool `[B, *P]`.
      size: C.
    """
    if jnp.issubdtype(labels.dtype, jnp.integer) and size > 1:
        return jax.nn.one_hot(jnp.where(known, labels, -1), size)
    there = known.reshape(*known.shape, *(1,) * (labels.ndim - known.ndim))
    return jnp.where(there, labels.astype(jnp.float32), 0.0).reshape(*known.shape, size)
