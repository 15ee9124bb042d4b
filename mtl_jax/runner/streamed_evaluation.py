"""Evaluation on examples that are not on the device, chunk by chunk."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax import train
from mtl_jax.core.tree import num_examples
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.evaluated_models import Models, distinct
from mtl_jax.runner.loops import map_seeds
from mtl_jax.runner.row_reader import RowReader, join
from mtl_jax.runner.seed_functions import EvaluationConfig
from mtl_jax.runner.streamed_data import pad
from mtl_jax.storage.processes import fetch
from mtl_jax.train.evaluate import Chunk, chunk_shape, chunk_sums, evaluation_of
from mtl_jax.train.state import Init

Arrays = Mapping[str, Any]  # "inputs" and labels `[N, ...]`, on the host or `Rows`.


def evaluate_streamed(
    compiled: CompiledRun,
    reader: RowReader,
    models: Models,
    splits: Mapping[str, Mapping[str, Arrays]],
) -> train.Evaluation:
    """Metrics and counts, as `CompiledRun.evaluate`; `reader` reads the splits.

    Chunks, and the order of their sums, are those of data on the device.
    """
    found = train.Evaluation({}, {}, {})
    for split, streams in splits.items():
        for part in found:
            part[split] = {name: {} for name in models}
        for arrays in streams.values():
            for name, own in evaluate_stream(compiled, reader, models, arrays).items():
                for part, by_task in zip(found, own, strict=True):
                    part[split][name] |= by_task
    return jax.tree.map(lambda leaf: leaf, found)  # In the order of keys that jit returns.


def evaluate_stream(
    compiled: CompiledRun, reader: RowReader, models: Models, arrays: Arrays
) -> dict[str, train.Evaluation]:
    """The evaluations of a stream's tasks by each model."""
    config = compiled.evaluation_config
    config = config._replace(tasks=tuple(t for t in config.tasks if t.name in arrays))
    labels = {task.name: arrays[task.name] for task in config.tasks}
    leaves, treedef = jax.tree.flatten((arrays["inputs"], labels))
    size = num_examples(arrays["inputs"])
    # As of data on the device, to which the mask of padding belongs.
    _, chunk = chunk_shape((arrays["inputs"], labels, np.ones(size)), size)
    indices = np.array_split(np.arange(size), np.arange(chunk, size, chunk))
    own_models, by_name = distinct(models)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves, 1), *own_models)
    sums, outputs = [], []
    for index, found in zip(indices, reader.read(leaves, indices), strict=True):
        inside = jnp.arange(chunk) < len(index)
        examples = [pad(array, chunk, 0) for array in join(leaves, found, len(index))]
        part = Chunk(*treedef.unflatten(examples), inside)
        own, predicted = evaluate_chunk(config, stacked, part)
        sums.append(own)
        outputs.append(fetch(predicted))
    evaluated = summarize(config, sums)
    every = jax.tree.map(lambda *parts: np.concatenate(parts, 2)[:, :, :size], *outputs)
    evaluated = evaluated._replace(outputs=every)
    return {
        name: jax.tree.map(lambda leaf, i=i: leaf[:, i], evaluated) for name, i in by_name.items()
    }


@functools.partial(jax.jit, static_argnums=0)
def evaluate_chunk(config: EvaluationConfig, models: Init, chunk: Chunk) -> tuple[Any, Any]:
    """Sums and outputs `[S, M, ...]` of M models `[S, M, ...]` on a chunk."""
    model = config.model

    def of_seed(models: Init, chunk: Chunk):
        return jax.lax.map(lambda one: chunk_sums(model, config.tasks, *one, chunk), models)

    return map_seeds(config.seed_loop, of_seed, (0, None))(models, chunk)


@functools.partial(jax.jit, static_argnums=0)
def summarize(config: EvaluationConfig, sums: list[Any]) -> train.Evaluation:
    """Metrics `[S, M]` from the sums of all chunks."""
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts, 2), *sums)
    evaluate = functools.partial(evaluation_of, config.tasks)
    return jax.vmap(jax.vmap(evaluate))(stacked)
