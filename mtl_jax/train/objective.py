"""The loss of every task on a batch: what is labelled, and what is consistent."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.protocols import Net, Views
from mtl_jax.run import Run, Task
from mtl_jax.train.batch import Batch
from mtl_jax.train.state import TrainState
from mtl_jax.trees import merge


def objective(run: Run, net: Net, state: TrainState, frozen: Any, batch: Batch) -> Callable:
    """Makes the function whose pullback is balanced.

    `L_k = mean over labelled of loss + weight * mean over U of consistency`. There is one
    forward pass over labelled, weak and strong views together, so BatchNorm sees the joint
    batch and its statistics move once.

    Args:
      run: what is trained.
      net: its net.
      state: statistics and running states of before the step.
      frozen: the parameters that are not differentiated.
      batch: the step's batch.

    Returns:
      A function of the trained parameters to losses `[K]` and
      `(stats, consistency, metrics)`.
    """

    def losses(kept):
        outputs, stats = net.apply(merge(kept, frozen), state.stats, batch.images, train=True)
        totals, consistency, metrics = [], {}, {}
        for task in run.tasks:
            name = task.name
            total, moved, seen = task_loss(
                task, outputs.logits[name], batch, state.consistency.get(name)
            )
            totals.append(total)
            if moved is not None:
                consistency[name] = moved
            metrics |= {f"{what}/{name}": value for what, value in seen.items()}
        return jnp.stack(totals), (stats, consistency, metrics)

    return losses


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
