"""Judges parameters on the whole of a split, in chunks, by sums."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Task
from mtl_jax.core.model import Net
from mtl_jax.core.protocols import Metric
from mtl_jax.data import has_label
from mtl_jax.losses.masked import known_entries
from mtl_jax.train.batch import as_float

CHUNK = 500


def judge(
    net: Net, tasks: tuple[Task, ...], models: dict[str, Any], stats: Any, splits: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of several models on every split.

    Args:
      net: their net.
      tasks: what is judged.
      models: by name, the parameters of one seed.
      stats: the running statistics, which all of them use.
      splits: by name, for each stream, arrays "image" `[N, ...]` and its labels `[N, ...]`.

    Returns:
      `{split: {model: {task: {metric: value []}}}}`, and in the place of the values the number
      of labelled examples with an output that is not finite, `{split: {model: {task: []}}}`;
      where there is one, the task's metric is NaN.
    """
    # One after the other: vmap would make a convolution's kernels a batch of them.
    stacked = jax.tree.map(lambda *kinds: jnp.stack(kinds), *models.values())
    judged = {
        name: jax.lax.map(
            lambda params, s=streams: on_streams(net, tasks, params, stats, s), stacked
        )
        for name, streams in splits.items()
    }
    each = {
        name: {kind: jax.tree.map(lambda x, i=i: x[i], found) for i, kind in enumerate(models)}
        for name, found in judged.items()
    }
    return tuple(
        {name: {kind: pair[part] for kind, pair in found.items()} for name, found in each.items()}
        for part in (0, 1)
    )


def outputs_for(net: Net, params: Any, stats: Any, images: jax.Array) -> dict[str, jax.Array]:
    """Outputs `{head: [N, C]}` of one seed's model for images `[N, ...]`, in chunks."""
    return read_for(net, params, stats, images)[1]


def read_for(net: Net, params: Any, stats: Any, images: jax.Array) -> tuple[dict, dict]:
    """Features `{task: [N, D]}` and outputs `{head: [N, C]}` of images `[N, ...]`, in chunks."""
    size = images.shape[0]
    chunks = -(-size // CHUNK)
    chunk = -(-size // chunks)
    padded = jnp.pad(images, [(0, chunks * chunk - size)] + [(0, 0)] * (images.ndim - 1))

    def outputs(part):
        found = net.apply(params, stats, as_float(part), train=False)[0]
        return found.features, found.logits

    found = jax.lax.map(outputs, padded.reshape(chunks, chunk, *images.shape[1:]))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:size], found)


def on_streams(net: Net, tasks: tuple[Task, ...], params: Any, stats: Any, streams: dict) -> tuple:
    """Each task's metric and count as `scores` has them, on the stream that brings its labels."""
    metrics, counts = {}, {}
    for arrays in streams.values():
        own = tuple(task for task in tasks if task.name in arrays)
        found, bad = scores(net, own, params, stats, arrays)
        metrics |= found
        counts |= bad
    return metrics, counts


def scores(
    net: Net, tasks: tuple[Task, ...], params: Any, stats: Any, arrays: dict[str, jax.Array]
) -> tuple[dict[str, dict[str, jax.Array]], dict[str, jax.Array]]:
    """Each task's metric over all examples; those without the task's label do not count.

    Also by task the number of labelled examples with an output that is not finite: a NaN is no
    class and no number, so the metric is NaN where there is one.
    """
    size = arrays["image"].shape[0]
    chunks = -(-size // CHUNK)
    chunk = -(-size // chunks)

    def sums(part):
        images, labels, inside = part
        outputs, _ = net.apply(params, stats, as_float(images), train=False)
        found = {}
        for task in tasks:
            logits = outputs.logits[task.name]
            mask = inside & judged(task.metric, labels[task.name])
            bad = mask & ~jnp.isfinite(logits).reshape(len(mask), -1).all(1)
            metric = task.metric.sums(logits, labels[task.name], mask)
            found[task.name] = (metric, bad.sum(dtype=jnp.int32))
        return found

    def chunked(array):
        rest = chunks * chunk - size
        padded = jnp.pad(array, [(0, rest)] + [(0, 0)] * (array.ndim - 1))
        return padded.reshape(chunks, chunk, *array.shape[1:])

    labels = {task.name: chunked(arrays[task.name]) for task in tasks}
    parts = (chunked(arrays["image"]), labels, chunked(jnp.ones(size, bool)))
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


def judged(metric: Metric, labels: jax.Array) -> jax.Array:
    """Which examples a metric is given, `[B]`: those with a label.

    A vector of labels of which some entries are NaN is given to a metric that says its
    `target_types`; others see complete vectors only.
    """
    there = has_label(labels)
    if labels.ndim == 1 or hasattr(metric, "target_types"):
        return there
    return known_entries(labels, there).reshape(len(labels), -1).all(1)
