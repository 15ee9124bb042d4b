"""Trains one run to its end, resuming from its last checkpoint."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.validation import require
from mtl_jax.report.summary import to_json
from mtl_jax.runner.candidates import Candidates
from mtl_jax.runner.compiled_run import (
    CompiledRun,
    default_execution,
)
from mtl_jax.runner.evaluation import evaluated, finished
from mtl_jax.runner.init_params import initial_parameters
from mtl_jax.runner.resume import accepted, identity_note
from mtl_jax.runner.teachers import with_teacher_predictions
from mtl_jax.runner.trace import with_precomputed
from mtl_jax.storage.checkpoint import CheckpointManager, digest
from mtl_jax.storage.label_warnings import label_counts
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import SourceModel, TrainData, TrainState


def train_run(
    run: Run,
    compiled: CompiledRun,
    folder: RunDirectory,
    folders: dict[str, RunDirectory],
    memory: int | None,
    tick: Callable[[int, dict[str, Any]], None],
    warn: Callable[[str], None],
) -> None:
    """Trains or resumes a run, and writes its files.

    Blocks of steps end at the same steps whether or not a run was interrupted, so each step is
    computed by the same compiled function and is bitwise reproducible.

    Args:
      run: the run configuration.
      compiled: the compiled run, from `trace_run`.
      folder: the folder of the run, already claimed.
      folders: the folders of its finished dependencies, by name.
      memory: bytes that its steps need, stored with the training time.
      tick: called with the step and its metrics after every block.
      warn: called with warning messages.

    Raises:
      Diverged: if a loss or parameter is not finite.
    """
    began = time.perf_counter()
    data = put_run_data(run, compiled, folders)
    state, given = data.state, data.given
    checkpoints = CheckpointManager(folder.checkpoints, warn)
    found = accepted(folder, checkpoints.restore(state), warn)
    state, kept, note = found or (state, {}, {"seconds": 0.0, "seen": []})
    rule = "has other weights than when this run began; --fresh begins anew"
    require(
        note.get("origin", data.origin) == data.origin,
        run,
        "initialization.init_from",
        rule,
        run.initialization.init_from,
    )
    began -= note["seconds"]
    begin = int(np.asarray(state.step)[0])
    records = folder.truncate(begin)
    candidates = Candidates(run, records, kept)
    seen = note["seen"]
    try:
        for start, stop in step_blocks(
            run, begin, default_execution(run, jax.default_backend()).steps_per_call
        ):
            state, metrics = compiled.train_steps(state, given, stop - start)
            seen.append((stop - start, metrics))
            tick(stop, metrics)
            if is_due(run, stop, run.evaluation.every):
                record = evaluated(run, compiled, state, data.splits, seen, stop)
                if run.evaluation.measure_affinity:
                    paused = time.perf_counter()
                    record["affinity"] = to_json(compiled.affinity(state, given))
                    began += time.perf_counter() - paused
                seen = []
                records.append(record)
                folder.append(record)
                candidates.add(record, state)
            if is_due(run, stop, run.evaluation.checkpoint_every):
                # The next evaluation also averages over metrics from before the checkpoint.
                pending = [(steps, to_json(metrics)) for steps, metrics in seen]
                spent = time.perf_counter() - began
                note = {"seconds": spent, "seen": pending, "origin": data.origin}
                note |= identity_note(folder, stop)
                checkpoints.save(stop, state, candidates.tree(), note)
    finally:
        checkpoints.wait()
    seconds = round(time.perf_counter() - began, 3)
    result = finished(run, folder, state, records, candidates)
    labels = data.labels
    for text in result["warnings"]:
        warn(f"run {run.name!r}: {text}")
    folder.write_result({**result, "labels": labels}, {"seconds": seconds, "bytes": memory})


class DeviceData(NamedTuple):
    """A run's training data on its devices, and its initial state."""

    state: TrainState
    given: TrainData
    splits: Any
    labels: Any  # Label counts, for the result.
    origin: str  # Digest of the file of initial weights; "" if there is none.


def put_run_data(run: Run, compiled: CompiledRun, folders: dict[str, RunDirectory]) -> DeviceData:
    """Loads a run's data and initial parameters, and places them on its devices."""
    loaded = load_run_data(run)
    state = compiled.init(initial_parameters(run, folders))
    start = SourceModel(state.params, state.batch_stats)
    source = jax.tree.map(jnp.copy, start) if run.initialization.init_from is not None else None
    given = with_teacher_predictions(run, loaded.given, folders)._replace(source_model=source)
    given = with_precomputed(run, compiled, given)
    splits = jax.tree.map(jnp.asarray, loaded.splits)
    # A file may change before a run resumes; a source run is immutable.
    sealed = source is None or isinstance(run.initialization.init_from, Run)
    origin = "" if sealed else digest(jax.device_get(source))
    labels = label_counts(run, loaded.given, loaded.splits)
    return DeviceData(state, given, splits, labels, origin)


def step_blocks(run: Run, start: int, block: int):
    """Blocks of steps `(start, stop)` that end at every evaluation and checkpoint."""
    while start < run.steps:
        stops = [
            start - start % every + every
            for every in (run.evaluation.every, run.evaluation.checkpoint_every)
        ]
        stop = min(run.steps, start + block, *stops)
        yield start, stop
        start = stop


def first_block(run: Run) -> int:
    """Length of the first block of steps."""
    return next(step_blocks(run, 0, default_execution(run, jax.default_backend()).steps_per_call))[
        1
    ]


def is_due(run: Run, step: int, every: int) -> bool:
    """Whether an action that happens every `every` steps and at the end is due."""
    return step % every == 0 or step == run.steps
