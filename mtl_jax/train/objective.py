"""The losses of every task on a step's batches: up to the features, and from there."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.protocols import Net, Views, by_task, without_heads
from mtl_jax.run import Run, Task
from mtl_jax.train.batch import Batch
from mtl_jax.train.state import TrainState
from mtl_jax.trees import merge


class Objective(NamedTuple):
    """Both parts of the losses on a batch, as functions of the trained parameters.

    `encode` has, for each stream of images, the tasks that it brings labels of and a function
    of all but the heads and of the statistics so far; features are one array if all its tasks
    read the same, else `{task: array}`.
    """

    encode: tuple[tuple[tuple[str, ...], Callable[[Any, Any], tuple]], ...]  # -> features, stats
    score: Callable[[Any, Any], tuple]  # heads, {task: features} -> losses [K], the rest
    stats: Any  # before the step

    def losses(self, kept: Any) -> jax.Array:
        """The losses `[K]` alone."""
        features, stats = {}, self.stats
        for tasks, encode in self.encode:
            seen, stats = encode(without_heads(kept), counted(stats, self.stats))
            features |= by_task(seen, tasks)
        return self.score(kept["tasks"]["heads"], features)[0]


def objective(
    run: Run, net: Net, state: TrainState, frozen: Any, batches: dict[str, Batch], key: jax.Array
) -> Objective:
    """Makes the functions whose pullbacks are balanced.

    `L_k = mean over labelled of loss + weight * mean over U of consistency`. A stream goes
    forward once, its labelled, weak and strong views together, so BatchNorm sees the joint
    batch and its statistics move once; several streams go one after the other.

    Args:
      run: what is trained.
      net: its net.
      state: statistics and running states of before the step.
      frozen: the parameters that are not differentiated.
      batches: the step's batch of every stream.
      key: for nets that draw.

    Returns:
      The two functions; the rest is `(consistency, metrics)`.
    """
    by_name = {name: batch for batch in batches.values() for name in batch.labels}

    def encode(batch, tasks, kept, stats):
        params = merge(kept, without_heads(frozen))
        features, stats = net.encode(params, stats, batch.images, train=True, key=key, tasks=tasks)
        if isinstance(features, dict):
            features = {name: features[name] for name in tasks}
        return features, stats

    def score(kept, features):
        logits = net.decode(merge(kept, frozen["tasks"]["heads"]), features)
        totals, consistency, metrics = [], {}, {}
        for task in run.tasks:
            name = task.name
            running = state.consistency.get(name)
            total, moved, seen = task_loss(task, logits[name], by_name[name], running)
            totals.append(total)
            if moved is not None:
                consistency[name] = moved
            metrics |= {f"{what}/{name}": value for what, value in seen.items()}
        return jnp.stack(totals), (consistency, metrics)

    def encoder(batch):
        tasks = tuple(task.name for task in run.tasks if task.name in batch.labels)
        return tasks, functools.partial(encode, batch, tasks)

    return Objective(tuple(map(encoder, batches.values())), score, state.stats)


def counted(stats: Any, before: Any) -> Any:
    """Statistics so far with the counters of before the step: it counts once for all streams."""

    def one(new, old):
        return old if jnp.issubdtype(old.dtype, jnp.integer) else new

    return jax.tree.map(one, stats, before)


def task_loss(task: Task, logits: jax.Array, batch: Batch, state: Any):
    """Loss `[]`, next consistency state (None without one) and metrics of one task."""
    labels, mask = batch.labels[task.name], batch.mask[task.name]
    size = mask.shape[0]
    supervised = masked_mean(task.loss, logits[:size], labels, mask)
    if task.consistency is None:
        return supervised, None, {}
    weak, strong = jnp.split(logits[size:], 2)
    views = Views(logits[:size], labels, mask, weak, strong, batch.index)
    losses, state, metrics = task.consistency.update(views, state)
    unlabelled = losses.mean()
    metrics = {**metrics, "unlabelled_loss": unlabelled}
    return supervised + task.consistency.weight * unlabelled, state, metrics


def masked_mean(loss: Callable, logits: jax.Array, labels: jax.Array, mask: jax.Array):
    """Mean of the loss over what is labelled; 0 where nothing is.

    A missing label is -1 or NaN; a 0 in its place keeps both value and gradient finite.
    """
    labels = jnp.where(mask.reshape(mask.shape + (1,) * (labels.ndim - 1)), labels, 0)
    each = jnp.where(mask, loss(logits, labels), 0.0)
    return each.sum() / jnp.maximum(mask.sum().astype(each.dtype), 1.0)
