"""The data of a run on its devices."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Run
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.init_params import initial_parameters
from mtl_jax.runner.teachers import with_teacher_predictions
from mtl_jax.runner.trace import with_precomputed
from mtl_jax.storage.checkpoint import digest
from mtl_jax.storage.hidden_labels import sample_hidden_labels
from mtl_jax.storage.label_warnings import label_counts
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import SourceModel, TrainData, TrainState


class DeviceData(NamedTuple):
    """A run's data on its devices."""

    train: TrainData
    splits: Any  # Evaluation data.
    hidden: Any  # Examples with hidden labels, by model and stream.
    label_counts: Any  # For the result.
    origin: str  # Digest of the file of initial weights; "" if there is none.


def put_run_data(
    run: Run, compiled: CompiledRun, folders: Mapping[str, RunDirectory]
) -> tuple[TrainState, DeviceData]:
    """Makes a run's initial state, and places its data on its devices."""
    state = compiled.init(initial_parameters(run, folders))
    return state, device_data(run, compiled, folders, state)


def device_data(
    run: Run, compiled: CompiledRun, folders: Mapping[str, RunDirectory], state: TrainState
) -> DeviceData:
    """Places a run's data on its devices; its source model is the model of its initial state."""
    loaded = load_run_data(run)
    model = SourceModel(state.params, state.batch_stats)
    source = jax.tree.map(jnp.copy, model) if run.initialization.init_from is not None else None
    data = with_teacher_predictions(run, loaded.train, folders)._replace(source_model=source)
    data = with_precomputed(run, compiled, data)
    splits = jax.tree.map(jnp.asarray, loaded.splits)
    hidden = jax.tree.map(jnp.asarray, sample_hidden_labels(run, loaded.train))
    # A file may change before a run resumes; a source run is immutable.
    is_immutable = source is None or isinstance(run.initialization.init_from, Run)
    origin = "" if is_immutable else digest(jax.device_get(source))
    counts = label_counts(run, loaded.train, loaded.splits)
    return DeviceData(data, splits, hidden, counts, origin)
