"""The examples that a step reads, as a function of the key and the step."""

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Run
from mtl_jax.core.policy import LearnablePolicy
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import LabelledSubset, Stream, TrainData, stream_key
from mtl_jax.train.batch import (
    HELD_OUT,
    LABELLED,
    PROBE,
    labelled_index,
    sample_unlabelled,
)
from mtl_jax.train.step_losses import batches_per_step
from mtl_jax.train.view_requests import group_requests


def step_rows(run: Run, data: TrainData, key: jax.Array, step: jax.Array) -> dict[str, jax.Array]:
    """Indices `[n]` of all examples that a step of one seed reads, by stream; some are repeated.

    Args:
      run: the run configuration.
      data: the training data, whose streams have pools; inputs and labels are not used.
      key: the key of the seed.
      step: the step, `[]`.
    """
    return {
        name: stream_rows(run, stream, stream_key(key, name), step)
        for name, stream in data.streams.items()
    }


def stream_rows(run: Run, stream: Stream, key: jax.Array, step: jax.Array) -> jax.Array:
    """Indices `[n]` of the examples of a stream that a step reads."""
    views = group_requests([task for task in run.tasks if task.name in stream.labels]).base
    reads_unlabelled = any(not view.startswith("labelled") for view in views)

    def labelled(subset: LabelledSubset, name: str, step: jax.Array) -> jax.Array:
        return subset.index[labelled_index(run, subset, fold_in_name(key, name), step)]

    count, found = batches_per_step(run), []
    for index in (count * step + batch for batch in range(count)):
        found.append(labelled(stream.labelled, LABELLED, index))
        if reads_unlabelled:
            found.append(sample_unlabelled(run, stream, key, index)[1])
    if stream.held_out is not None:
        found.append(labelled(stream.held_out, HELD_OUT, step))
    if isinstance(run.augmentation.strong, LearnablePolicy):
        found.append(labelled(stream.labelled, PROBE, step))
    return jnp.concatenate([rows.astype(jnp.int32) for rows in found])
