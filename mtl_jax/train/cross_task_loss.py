"""Consistency across the tasks of a stream, by the run's `CrossTask`."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.config.cross_task import cross_task
from mtl_jax.config.run import Run, Task
from mtl_jax.core.model import Net, vectors
from mtl_jax.losses.masked import known_entries
from mtl_jax.losses.target_type import target_type
from mtl_jax.train.inputs import Sight


def across(
    run: Run, net: Net, heads: Any, sight: Sight, outputs: dict, features: dict[str, tuple]
) -> dict[str, jax.Array]:
    """What consistency with the labels of the others adds to each task's loss, `[]`.

    Of the labelled images, a pair of tasks counts where the first lacks its label and the
    second has it, of a vector all entries; the mean is over all B.

    Args:
      run: with a `CrossTask`.
      net: with a relation.
      heads: its parameters.
      sight: of the stream.
      outputs: by view and head, `[n, C]`.
      features: by task, of each pass.
    """
    setting, batch = run.cross_task, sight.batch
    by_name = {task.name: task for task in run.tasks}
    added = {}
    for source in sight.tasks:
        total = jnp.zeros(())
        for target in (name for name in sight.tasks if name != source):
            pair = place_of(run, source) * len(run.tasks) + place_of(run, target)
            label = batch.labels[target]
            known = known_entries(label, batch.mask[target]).reshape(len(label), -1).all(1)
            said = predicted(by_name[source], outputs["labelled"][source], batch.labels[source])
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


def predicted(task: Task, outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Predictions `[B, C]` in the form of labels: probabilities, or numbers as they are.

    A user's own loss is taken for one of classes where labels are integers, and else for numbers.
    """
    kind = target_type(task.loss, task.outputs)
    if kind in ("binary", "multilabel"):
        return jax.nn.sigmoid(outputs)
    if kind is None:
        kind = "multiclass" if jnp.issubdtype(labels.dtype, jnp.integer) else "continuous"
    return jax.nn.softmax(outputs) if kind == "multiclass" else outputs


def as_outputs(labels: jax.Array, known: jax.Array, size: int) -> jax.Array:
    """Labels in the form of predictions `[B, C]`; zeros where they are missing."""
    if jnp.issubdtype(labels.dtype, jnp.integer) and size > 1:
        return jax.nn.one_hot(jnp.where(known, labels, -1), size)
    there = known.reshape(-1, *(1,) * (labels.ndim - 1))
    return jnp.where(there, labels.astype(jnp.float32), 0.0).reshape(-1, size)
