"""Evaluates parameters on whole splits, accumulating metric sums over chunks."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.task import Task
from mtl_jax.core.metric import HostMetric, Metric
from mtl_jax.core.model import Model
from mtl_jax.core.tree import num_examples
from mtl_jax.data import has_label
from mtl_jax.losses.masked import known_entries
from mtl_jax.train.views import as_float

MAX_EXAMPLES = 500  # In a chunk.
MAX_NUMBERS = 2**24  # In the inputs and labels of a chunk: 50 images of NYUv2.


class Evaluation(NamedTuple):
    """Results of the tasks on a split; also used with dicts by split, or by split and model."""

    metrics: dict[str, Any]  # By task and metric, [].
    nonfinite: dict[str, Any]  # By task, [], labelled examples with a non-finite output.
    outputs: dict[str, Any]  # By task with a metric on the host, [N, ..., C].


def evaluate(
    net: Model, tasks: tuple[Task, ...], params: Any, stats: Any, splits: dict[str, Any]
) -> Evaluation:
    """Metrics of one seed's model on every split.

    Args:
      net: the model.
      tasks: the tasks to evaluate.
      params: the parameters.
      stats: the running statistics.
      splits: by name, for each stream, "inputs" `[N, ...]` and labels `[N, ...]`.

    Returns:
      An `Evaluation` of dicts by split. Where an output of a task is not finite, its metrics are
      NaN.
    """
    found = {
        name: evaluate_streams(net, tasks, params, stats, streams)
        for name, streams in splits.items()
    }
    return Evaluation(
        *({name: part[i] for name, part in found.items()} for i in range(len(Evaluation._fields)))
    )


def predict_chunked(net: Model, params: Any, stats: Any, inputs: Any) -> dict[str, Any]:
    """Outputs `{head: [N, ..., C]}` of one seed's model for inputs `[N, ...]`, in chunks."""
    return features_and_logits(net, params, stats, inputs)[1]


def features_and_logits(net: Model, params: Any, stats: Any, inputs: Any) -> tuple[dict, dict]:
    """Features `{task: [N, D]}` and outputs `{head: [N, ..., C]}` of inputs `[N, ...]`."""

    def outputs(part):
        found = net.apply(params, stats, as_float(part), train=False)[0]
        return found.features, found.logits

    size = num_examples(inputs)
    return without_padding(jax.lax.map(outputs, to_chunks(inputs, size)), size)


def to_chunks(tree: Any, size: int) -> Any:
    """Pads arrays `[N, ...]` with zeros, and splits them into chunks `[M, n, ...]`.

    Chunks of large examples are small, as are then the features of all layers.
    """
    return pad_to_chunks(tree, size, *chunk_shape(tree, size))


def pad_to_chunks(tree: Any, size: int, chunks: int, chunk: int) -> Any:
    """Arrays `[N, ...]`, N = `size`, padded with zeros and split into `chunks` of `chunk` examples."""

    def one(array):
        padded = jnp.pad(array, [(0, chunks * chunk - size)] + [(0, 0)] * (array.ndim - 1))
        return padded.reshape(chunks, chunk, *array.shape[1:])

    return jax.tree.map(one, tree)


def chunk_shape(tree: Any, size: int) -> tuple[int, int]:
    """Number M of the chunks of arrays `[N, ...]`, and number n of examples in each."""
    numbers = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(tree))
    chunks = math.ceil(size / min(MAX_EXAMPLES, max(1, MAX_NUMBERS // max(1, numbers))))
    return chunks, math.ceil(size / chunks)


def without_padding(tree: Any, size: int) -> Any:
    """The arrays `[N, ...]` of chunks `[M, n, ...]`."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:size], tree)


def evaluate_streams(
    net: Model, tasks: tuple[Task, ...], params: Any, stats: Any, streams: dict
) -> Evaluation:
    """Each task's evaluation, as in `evaluate_split`, on the stream with its labels."""
    found = Evaluation({}, {}, {})
    for arrays in streams.values():
        own = tuple(task for task in tasks if task.name in arrays)
        parts = evaluate_split(net, own, params, stats, arrays)
        found = Evaluation(*(old | new for old, new in zip(found, parts, strict=True)))
    return found


def evaluate_split(
    net: Model, tasks: tuple[Task, ...], params: Any, stats: Any, arrays: dict[str, Any]
) -> Evaluation:
    """Each task's metrics over all examples that have a label of the task."""
    size = num_examples(arrays["inputs"])
    labels = {task.name: arrays[task.name] for task in tasks}
    parts = to_chunks((arrays["inputs"], labels, jnp.ones(size, bool)), size)
    sums, outputs = jax.lax.map(
        lambda part: chunk_sums(net, tasks, params, stats, Chunk(*part)), parts
    )
    return evaluation_of(tasks, sums)._replace(outputs=without_padding(outputs, size))


class Chunk(NamedTuple):
    """Examples that are evaluated at a time."""

    inputs: Any  # [n, ...]
    labels: dict[str, jax.Array]  # By task, [n, ...].
    inside: jax.Array  # [n], False where the examples are padding.


def chunk_sums(
    net: Model, tasks: tuple[Task, ...], params: Any, stats: Any, chunk: Chunk
) -> tuple[dict[str, tuple], dict[str, Any]]:
    """Sums of a chunk by task as in `task_sums`, and outputs of tasks with a metric on the host."""
    outputs = net.apply(params, stats, as_float(chunk.inputs), train=False)[0].logits
    sums = {
        task.name: task_sums(task, outputs[task.name], chunk.labels[task.name], chunk.inside)
        for task in tasks
    }
    return sums, {task.name: outputs[task.name] for task in tasks if has_host_metric(task)}


@jax.custom_batching.custom_vmap
def batch_all(tree: Any) -> Any:
    """The identity, which `vmap` over seeds makes give every leaf an axis.

    XLA multiplies by the reciprocal where only a dividend has the axis, as a count of examples that
    all seeds share has none: a metric would depend in its last bit on how seeds are looped.
    """
    return tree


@batch_all.def_vmap
def broadcast_leaves(size: int, in_batched: list[Any], tree: Any) -> tuple[Any, Any]:
    """Gives the leaves of a tree that have none a leading axis of a size."""

    def broadcast(leaf: jax.Array, is_batched: bool) -> jax.Array:
        if is_batched:
            return leaf
        return jax.lax.optimization_barrier(jnp.broadcast_to(leaf, (size, *leaf.shape)))

    batched = jax.tree.map(broadcast, tree, in_batched[0])
    return batched, jax.tree.map(lambda _: True, tree)


def evaluation_of(tasks: tuple[Task, ...], sums: dict[str, tuple]) -> Evaluation:
    """Metrics from the sums `[M, ...]` of all chunks, without outputs."""
    totals = batch_all(jax.tree.map(lambda leaf: leaf.sum(0), sums))
    nonfinite = {name: count for name, (_, count) in totals.items()}
    metrics = {task.name: metric_values(task, *totals[task.name]) for task in tasks}
    return Evaluation(metrics, nonfinite, {})


def has_host_metric(task: Task) -> bool:
    """Whether a metric of a task is computed on the host."""
    return any(isinstance(metric, HostMetric) for metric in task.metrics)


def task_sums(task: Task, outputs: Any, labels: jax.Array, inside: jax.Array) -> tuple:
    """Sums by metric of a chunk, and its number of labelled examples with non-finite outputs."""
    sums = {
        metric.name: metric.from_model_output(
            outputs, labels, inside & examples_to_score(metric, labels)
        )
        for metric in task.metrics
        if isinstance(metric, Metric)
    }
    finite = [jnp.isfinite(leaf).reshape(len(leaf), -1).all(1) for leaf in jax.tree.leaves(outputs)]
    labelled = inside & jnp.asarray(has_label(labels))
    bad = labelled & ~functools.reduce(jnp.logical_and, finite)
    return sums, bad.sum(dtype=jnp.int32)


def metric_values(task: Task, sums: dict[str, Any], nonfinite: jax.Array) -> dict[str, jax.Array]:
    """The metrics of sums, NaN if any output is not finite."""
    return {
        metric.name: jnp.where(
            nonfinite > 0, jnp.nan, jnp.asarray(metric.compute(sums[metric.name]), jnp.float32)
        )
        for metric in task.metrics
        if isinstance(metric, Metric)
    }


def examples_to_score(metric: Metric, labels: jax.Array) -> jax.Array:
    """Mask `[B]` of the examples passed to a metric: those with a label.

    Label vectors with some NaN entries are passed only to metrics with
    `accepts_missing_entries`; other metrics receive complete vectors only.
    """
    labelled = jnp.asarray(has_label(labels))
    if labels.ndim == 1 or metric.accepts_missing_entries:
        return labelled
    return known_entries(labels, labelled).reshape(len(labels), -1).all(1)
