"""The data of a run on its devices."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.frozen_features import with_frozen_features
from mtl_jax.runner.init_params import initial_parameters
from mtl_jax.runner.streamed_data import StreamedData
from mtl_jax.runner.streamed_shapes import is_streamed
from mtl_jax.runner.teachers import with_teacher_predictions
from mtl_jax.runner.trace import with_precomputed
from mtl_jax.storage.checkpoint import digest
from mtl_jax.storage.hidden_labels import sample_hidden_labels
from mtl_jax.storage.label_warnings import label_counts
from mtl_jax.storage.processes import fetch
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import SourceModel, TrainData, TrainState, methods_with_precompute


class DeviceData(NamedTuple):
    """A run's data on its devices, or where they are read from."""

    train: TrainData  # Without examples if they are streamed.
    streamed: StreamedData | None
    splits: Any  # Evaluation data.
    hidden: Any  # Examples with hidden labels, by model and stream.
    hidden_data: TrainData  # That they are from.
    label_counts: Any  # For the result.
    origin: str  # Digest of the file of initial weights; "" if there is none.

    @property
    def examples(self) -> TrainData:
        """The training data with the examples, or with where they are read from."""
        return self.train if self.streamed is None else self.streamed.host

    def block(self, start: int, stop: int) -> TrainData:
        """The training data of a block of steps; if they are streamed, the next one is read ahead."""
        return self.train if self.streamed is None else self.streamed.take(start, stop)

    def steps(self, start: int, stop: int) -> TrainData:
        """The training data of any steps after `start`, to `stop`."""
        return self.train if self.streamed is None else self.streamed.read(start, stop)

    def close(self) -> None:
        """Ends the reading ahead, and its workers."""
        if self.streamed is not None:
            self.streamed.close()
            self.streamed.reader.close()


def put_run_data(
    run: Run, compiled: CompiledRun, folders: Mapping[str, RunDirectory]
) -> tuple[TrainState, DeviceData]:
    """Makes a run's initial state, and places its data on its devices."""
    state = compiled.init(initial_parameters(run, folders))
    return state, device_data(run, compiled, folders, state)


def device_data(
    run: Run,
    compiled: CompiledRun,
    folders: Mapping[str, RunDirectory],
    state: TrainState,
    placed: DeviceData | None = None,
) -> DeviceData:
    """Places a run's data on its devices; its source model is the model of its initial state.

    Args:
      run: the run.
      compiled: its compiled functions.
      folders: the folders of the runs that it needs, by name.
      state: its initial state.
      placed: the data of another run of the same examples, which are used again.
    """
    loaded = load_run_data(run)
    model = SourceModel(state.params, state.batch_stats)
    source = jax.tree.map(jnp.copy, model) if run.initialization.init_from is not None else None
    data = with_teacher_predictions(run, loaded.train, folders)._replace(source_model=source)
    streamed, splits = None, loaded.splits
    hidden = sample_hidden_labels(run, loaded.train)
    if placed is not None:
        data, splits = with_examples(data, placed.examples), placed.splits
    if is_streamed(compiled.execution):
        other = None if placed is None else placed.streamed
        streamed = StreamedData(compiled, data, splits, other)
        data = stream_precomputed(run, compiled, streamed)
        hidden, hidden_data = read_hidden(streamed, hidden)
    elif placed is not None:
        data = hidden_data = compiled.put_data(data)
    else:
        data = with_precomputed(run, compiled, data)
        splits = jax.tree.map(jnp.asarray, splits)
        data, splits = with_frozen_features(compiled, state, data, splits)
        hidden_data = data
    hidden = jax.tree.map(jnp.asarray, hidden)
    # A file may change before a run resumes; a source run is immutable.
    is_immutable = source is None or isinstance(run.initialization.init_from, Run)
    origin = "" if is_immutable else digest(fetch(source))
    counts = label_counts(run, loaded.train, loaded.splits)
    return DeviceData(data, streamed, splits, hidden, hidden_data, counts, origin)


def with_examples(data: TrainData, other: TrainData) -> TrainData:
    """Data with the inputs and labels of another one, whose inputs may be features."""
    streams = {}
    for name, stream in other.streams.items():
        own = data.streams[name]
        streams[name] = stream._replace(labelled=own.labelled, held_out=own.held_out)
    return data._replace(streams=streams)


def stream_precomputed(run: Run, compiled: CompiledRun, streamed: StreamedData) -> TrainData:
    """Adds the precomputed values of the methods to streamed data, of which the labelled are read."""
    if methods_with_precompute(run):
        rows = {
            name: np.unique(stream.labelled.index) for name, stream in streamed.host.streams.items()
        }
        found = with_precomputed(run, compiled, streamed.examples_at(rows))
        streamed.base = streamed.base._replace(source_model=found.source_model)
    return streamed.base


def read_hidden(streamed: StreamedData, hidden: Any) -> tuple[Any, TrainData]:
    """Reads examples with hidden labels once; returns them by their places in the data read."""
    rows = {
        name: np.unique(np.concatenate([own[name].index.ravel() for own in by_kind]))
        for name in streamed.host.streams
        if (by_kind := [own for own in hidden.values() if name in own])
    }
    places = {
        kind: {
            name: each._replace(index=np.searchsorted(rows[name], each.index).astype(np.int32))
            for name, each in own.items()
        }
        for kind, own in hidden.items()
    }
    return places, streamed.examples_at(rows) if rows else streamed.base
