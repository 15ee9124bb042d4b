"""Evaluates parameters on whole splits, accumulating metric sums over chunks."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.config.task import Task
from mtl_jax.core.metric import Metric
from mtl_jax.core.model import Model
from mtl_jax.data import has_label
from mtl_jax.losses.masked import known_entries
from mtl_jax.train.views import as_float

CHUNK = 500


def evaluate(
    net: Model, tasks: tuple[Task, ...], models: dict[str, Any], stats: Any, splits: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of several models on every split.

    Args:
      net: the model.
      tasks: the tasks to evaluate.
      models: parameters of one seed, by name.
      stats: the running statistics, shared by all of them.
      splits: by name, for each stream, arrays "inputs" `[N, ...]` and labels `[N, ...]`.

    Returns:
      `{split: {model: {task: {metric: value []}}}}`, and the number of labelled examples with a
      non-finite output, `{split: {model: {task: []}}}`. Where that number is not zero, the
      task's metric is NaN.
    """
    # Sequential: vmap would batch the kernels of convolutions.
    stacked = jax.tree.map(lambda *kinds: jnp.stack(kinds), *models.values())
    evaluated = {
        name: jax.lax.map(
            lambda params, s=streams: evaluate_streams(net, tasks, params, stats, s), stacked
        )
        for name, streams in splits.items()
    }
    each = {
        name: {kind: jax.tree.map(lambda x, i=i: x[i], found) for i, kind in enumerate(models)}
        for name, found in evaluated.items()
    }
    metrics, counts = (
        {name: {kind: pair[part] for kind, pair in found.items()} for name, found in each.items()}
        for part in (0, 1)
    )
    return metrics, counts


def predict_chunked(net: Model, params: Any, stats: Any, images: jax.Array) -> dict[str, jax.Array]:
    """Outputs `{head: [N, C]}` of one seed's model for images `[N, ...]`, computed in chunks."""
    return features_and_logits(net, params, stats, images)[1]


def features_and_logits(
    net: Model, params: Any, stats: Any, images: jax.Array
) -> tuple[dict, dict]:
    """Features `{task: [N, D]}` and outputs `{head: [N, C]}` of images `[N, ...]`, by chunks."""
    size = images.shape[0]
    chunks = -(-size // CHUNK)
    chunk = -(-size // chunks)
    padded = jnp.pad(images, [(0, chunks * chunk - size)] + [(0, 0)] * (images.ndim - 1))

    def outputs(part):
        found = net.apply(params, stats, as_float(part), train=False)[0]
        return found.features, found.logits

    found = jax.lax.map(outputs, padded.reshape(chunks, chunk, *images.shape[1:]))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:size], found)


def evaluate_streams(
    net: Model, tasks: tuple[Task, ...], params: Any, stats: Any, streams: dict
) -> tuple:
    """Each task's metric and count, as in `evaluate_split`, on the stream with its labels."""
    metrics, counts = {}, {}
    for arrays in streams.values():
        own = tuple(task for task in tasks if task.name in arrays)
        found, bad = evaluate_split(net, own, params, stats, arrays)
        metrics |= found
        counts |= bad
    return metrics, counts


def evaluate_split(
    net: Model, tasks: tuple[Task, ...], params: Any, stats: Any, arrays: dict[str, jax.Array]
) -> tuple[dict[str, dict[str, jax.Array]], dict[str, jax.Array]]:
    """Each task's metric over all examples that have a label of the task.

    Also returns, by task, the number of labelled examples with a non-finite output, which is not
    a valid prediction; if there is any, the metric is NaN.
    """
    size = arrays["inputs"].shape[0]
    chunks = -(-size // CHUNK)
    chunk = -(-size // chunks)

    def sums(part):
        images, labels, inside = part
        outputs, _ = net.apply(params, stats, as_float(images), train=False)
        found = {}
        for task in tasks:
            logits = outputs.logits[task.name]
            mask = inside & examples_to_score(task.metric, labels[task.name])
            bad = mask & ~jnp.isfinite(logits).reshape(len(mask), -1).all(1)
            metric = task.metric.from_model_output(logits, labels[task.name], mask)
            found[task.name] = (metric, bad.sum(dtype=jnp.int32))
        return found

    def to_chunks(array):
        rest = chunks * chunk - size
        padded = jnp.pad(array, [(0, rest)] + [(0, 0)] * (array.ndim - 1))
        return padded.reshape(chunks, chunk, *array.shape[1:])

    labels = {task.name: to_chunks(arrays[task.name]) for task in tasks}
    parts = (to_chunks(arrays["inputs"]), labels, to_chunks(jnp.ones(size, bool)))
    total = jax.tree.map(lambda leaf: leaf.sum(0), jax.lax.map(sums, parts))
    counts = {name: count for name, (_, count) in total.items()}
    metrics = {
        task.name: {
            task.metric.name: jnp.where(
                counts[task.name] > 0,
                jnp.nan,
                jnp.asarray(task.metric.compute(total[task.name][0]), jnp.float32),
            )
        }
        for task in tasks
    }
    return metrics, counts


def examples_to_score(metric: Metric, labels: jax.Array) -> jax.Array:
    """Mask `[B]` of the examples passed to a metric: those with a label.

    Label vectors with some NaN entries are passed only to metrics with
    `accepts_missing_entries`; other metrics receive complete vectors only.
    """
    labelled = jnp.asarray(has_label(labels))
    if labels.ndim == 1 or metric.accepts_missing_entries:
        return labelled
    return known_entries(labels, labelled).reshape(len(labels), -1).all(1)
