"""Shapes of streamed training data: a block of steps gets the examples that it reads."""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.execution import Execution
from mtl_jax.config.run import Run
from mtl_jax.core.tree import Tree, num_examples, shapes_of
from mtl_jax.storage.memory import bytes_of
from mtl_jax.train import TrainData, step_rows

MAX_BYTES = 2**28  # Of the examples of a block.


def is_streamed(execution: Execution) -> bool:
    """Whether the examples are not on the device; `data_location` must be set."""
    return execution.data_location != "device"


def without_examples(data: TrainData) -> TrainData:
    """The data without inputs and labels, whose streams have pools."""
    streams = {}
    for name, stream in data.streams.items():
        pool, size = stream.pool, num_examples(stream.inputs)
        if pool is None:
            is_abstract = isinstance(jax.tree.leaves(stream.inputs)[0], jax.ShapeDtypeStruct)
            shape = jax.ShapeDtypeStruct((size,), np.int32)
            pool = shape if is_abstract else np.arange(size, dtype=np.int32)
        labels = dict.fromkeys(stream.labels)
        streams[name] = stream._replace(inputs=None, labels=labels, pool=pool)
    return data._replace(streams=streams)


def rows_per_step(run: Run, data: TrainData) -> dict[str, int]:
    """Number of indices of examples that a step of one seed computes, by stream."""
    bare = without_examples(shapes_of(data._replace(source_model=None)))
    seeds = jax.ShapeDtypeStruct((run.num_seeds,), np.uint32)
    found = jax.eval_shape(functools.partial(indices_of_steps, run), seeds, bare, jnp.arange(1))
    return {name: indices.shape[-1] for name, indices in found.items()}


def indices_of_steps(
    run: Run, seeds: jax.Array, data: TrainData, steps: jax.Array
) -> dict[str, jax.Array]:
    """Indices of the examples that steps `[T]` of all seeds read, `{stream: [S, T, n]}`.

    Args:
      run: the run configuration.
      seeds: the seeds `[S]`.
      data: the data without examples and source model.
      steps: the steps.
    """

    def of_seed(seed: jax.Array, own: TrainData):
        rows = functools.partial(step_rows, run, own, jax.random.key(seed))
        return jax.vmap(rows)(steps)

    axes = data.in_axes(None, 0)._replace(source_model=None)
    return jax.vmap(of_seed, (0, axes))(seeds, data)


def block_sizes(
    run: Run, data: TrainData, per_step: Mapping[str, int], steps: int
) -> dict[str, int]:
    """Number R of examples that a block of steps of all seeds may read, by stream.

    Args:
      run: the run configuration.
      data: all data.
      per_step: numbers by stream, as `rows_per_step` gives them.
      steps: number of steps.
    """
    return {
        name: min(num_examples(data.streams[name].inputs), run.num_seeds * steps * count)
        for name, count in per_step.items()
    }


def streamed_shapes(run: Run, data: TrainData, steps: int) -> TrainData:
    """Shapes of the data of a block of steps, from those of all data."""
    bare = without_examples(data)
    sizes = block_sizes(run, data, rows_per_step(run, data), steps)

    def resized(tree: Tree, size: int) -> Tree:
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), tree
        )

    streams = {
        name: stream._replace(
            inputs=resized(data.streams[name].inputs, sizes[name]),
            labels=resized(data.streams[name].labels, sizes[name]),
            rows=jax.ShapeDtypeStruct((sizes[name],), np.int32),
        )
        for name, stream in bare.streams.items()
    }
    return data._replace(streams=streams)


def limit_block(run: Run, execution: Execution, data: TrainData, num_seeds: int) -> Execution:
    """The execution, if streamed with blocks whose examples take at most 256 MiB.

    Args:
      run: the run.
      execution: its execution.
      data: its training data.
      num_seeds: number of seeds that read examples, of other runs of its population too.
    """
    if not is_streamed(execution):
        return execution
    per_step = 0
    for name, count in rows_per_step(run, data).items():
        stream = data.streams[name]
        size = bytes_of((stream.inputs, stream.labels)) / num_examples(stream.inputs)
        per_step += num_seeds * count * size
    most = max(1, int(MAX_BYTES / per_step))
    steps = min(execution.steps_per_call, most)
    return dataclasses.replace(execution, steps_per_call=steps)
