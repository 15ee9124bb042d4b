"""Consistency across the tasks of a stream, by the run's `CrossTask`."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.cross_task import cross_task
from mtl_jax.net import Net, vectors
from mtl_jax.run import Run
from mtl_jax.train.sight import Sight


def across(
    run: Run, net: Net, heads: Any, sight: Sight, outputs: dict, features: dict[str, tuple]
) -> dict[str, jax.Array]:
    """What consistency with the labels of the others adds to each task's loss, `[]`.

    Of the labelled images, a pair of tasks counts where the first lacks its label and the
    second has it; the mean is over all B.

    Args:
      run: with a `CrossTask`.
      net: with a relation.
      heads: its parameters.
      sight: of the stream.
      outputs: by view and head, `[n, C]`.
      features: by task, of each pass.
    """
    setting, batch = run.cross_task, sight.batch
    added = {}
    for source in sight.tasks:
        total = jnp.zeros(())
        for target in (name for name in sight.tasks if name != source):
            pair = place_of(run, source) * len(run.tasks) + place_of(run, target)
            known, label = batch.mask[target], batch.labels[target]
            said = predicted(outputs["labelled"][source], batch.labels[source])
            told = as_outputs(label, known, outputs["labelled"][target].shape[-1])
            embedded = net.relate(heads, {source: said, target: told}, pair)
            own = vectors(features[source][0])[: known.shape[0]]
            each = cross_task(embedded[source], embedded[target], own, share=setting.features)
            total = total + jnp.where(known & ~batch.mask[source], each, 0.0).mean()
        added[source] = setting.weight * total
    return added


def place_of(run: Run, name: str) -> int:
    """Which of the run's tasks this is."""
    return [task.name for task in run.tasks].index(name)


def predicted(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Probabilities `[B, C]` of a task of classes, the outputs of one of numbers."""
    classes = jnp.issubdtype(labels.dtype, jnp.integer)
    return jax.nn.softmax(outputs) if classes else outputs


def as_outputs(labels: jax.Array, known: jax.Array, size: int) -> jax.Array:
    """Labels in the form of predictions `[B, C]`; zeros where they are missing."""
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return jax.nn.one_hot(jnp.where(known, labels, -1), size)
    there = known.reshape(-1, *(1,) * (labels.ndim - 1))
    return jnp.where(there, labels, 0.0).reshape(-1, size).astype(jnp.float32)
