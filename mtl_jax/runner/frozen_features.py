"""Features of a frozen encoder in the place of a run's inputs, computed once."""

import functools
from typing import Any

import jax

from mtl_jax import train
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.streamed_shapes import is_streamed
from mtl_jax.storage.data_location import MEMORY_SHARE
from mtl_jax.storage.memory import bytes_of, device_memory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.train.frozen_encoder import (
    encode_examples,
    encode_splits,
    has_one_encoder,
    is_encoder_fixed,
    reads_plain_inputs,
)


def encodes_once(
    compiled: CompiledRun, state: train.TrainState, data: train.TrainData, num_seeds: int
) -> bool:
    """Whether the features of a run are computed once, from shapes.

    This is so if its encoder is frozen, deterministic and the same for all seeds, if inputs are
    neither augmented nor streamed, and no method passes others through the model; the features must
    take at most a quarter of the memory.

    Args:
      compiled: the compiled run.
      state: its state.
      data: its training data.
      num_seeds: number of seeds of its program, which may be of a population.
    """
    run = compiled.run
    if not reads_plain_inputs(run) or not has_one_encoder(run, num_seeds):
        return False
    if seed_axis(run) is not None or is_streamed(compiled.execution):
        return False
    params, stats = jax.eval_shape(first_encoder, state)
    if not is_encoder_fixed(run, compiled.model, params, stats, compiled.example.tree):
        return False
    features = jax.eval_shape(functools.partial(encode_training, compiled), state, data)
    size = bytes_of([stream.inputs for stream in features.streams.values()])
    return size <= MEMORY_SHARE * device_memory()


def first_encoder(state: train.TrainState) -> tuple[Any, Any]:
    """Parameters and statistics of the first seed."""
    return jax.tree.map(lambda leaf: leaf[0], (state.params, state.batch_stats))


def encode_training(
    compiled: CompiledRun, state: train.TrainState, data: train.TrainData
) -> train.TrainData:
    """Training data with features in the place of inputs, as a step computes them."""
    params, stats = first_encoder(state)
    encode = functools.partial(
        encode_examples, compiled.train_model, params, stats, batch_size=compiled.run.batch_size,
        train=True,
    )  # fmt: skip
    streams = {
        name: stream._replace(inputs=encode(stream.inputs)) for name, stream in data.streams.items()
    }
    return data._replace(streams=streams)


def encode_evaluation(compiled: CompiledRun, state: train.TrainState, splits: Any) -> Any:
    """Evaluation data with features in the place of inputs."""
    params, stats = first_encoder(state)
    return encode_splits(compiled.model, params, stats, splits, compiled.run.batch_size)


def with_frozen_features(
    compiled: CompiledRun, state: train.TrainState, data: train.TrainData, splits: Any
) -> tuple[train.TrainData, Any]:
    """Training and evaluation data, with features if the encoder is frozen."""
    if not compiled.encodes_once:
        return data, splits
    return (
        jax.jit(functools.partial(encode_training, compiled))(state, data),
        jax.jit(functools.partial(encode_evaluation, compiled))(state, splits),
    )
