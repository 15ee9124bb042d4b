"""Trains one run from wherever it was left to its end."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.tree import path_text, size
from mtl_jax.core.validation import require
from mtl_jax.report.summary import host, not_finite, summary
from mtl_jax.runner.candidates import Candidates
from mtl_jax.runner.compiled_run import Program, dispatch_of, open_all, program
from mtl_jax.runner.init_params import from_file, initial_parameters
from mtl_jax.runner.part_checks import check_parts
from mtl_jax.runner.resume import accepted, identity_note
from mtl_jax.runner.teachers import with_teachers
from mtl_jax.storage.checkpoint import Checkpoints, digest, plain
from mtl_jax.storage.label_warnings import label_counts
from mtl_jax.storage.run_data import described, prepare
from mtl_jax.storage.run_directory import Folder
from mtl_jax.storage.trained_params import write_selected
from mtl_jax.train import Given, Start, TrainState, begins
from mtl_jax.train.state import trainable


class Diverged(FloatingPointError):
    """A loss was not a number; what was reached before is on disk."""


def train_run(
    run: Run,
    compiled: Program,
    folder: Folder,
    folders: dict[str, Folder],
    memory: int | None,
    tick: Callable[[int, dict[str, Any]], None],
    warn: Callable[[str], None],
) -> None:
    """Trains a run, or what is left of it, and writes its files.

    Every block of steps ends at the same places whether or not a run was interrupted, so
    each step is computed by the same compiled function and comes out bitwise the same.

    Args:
      run: what is trained.
      compiled: its program, as `check` made it.
      folder: its folder, claimed already.
      folders: by name, those of the runs that it needs, which are finished.
      memory: bytes that its steps need, to be written beside its seconds.
      tick: told the step and its metrics after every block.
      warn: told what a reader should know.

    Raises:
      Diverged: if a loss is not a number.
    """
    began = time.perf_counter()
    prepared = prepare(run)
    state = compiled.init(initial_parameters(run, folders))
    start = Start(state.params, state.stats)
    anchor = jax.tree.map(jnp.copy, start) if run.source is not None else None
    taught = with_teachers(run, prepared.given, folders)
    given = opened(run, compiled, taught._replace(anchor=anchor))
    splits = jax.tree.map(jnp.asarray, prepared.splits)
    checkpoints = Checkpoints(folder.checkpoints, warn)
    # A file may be another one when a run goes on; a run that is a source is sealed.
    ours = anchor is None or isinstance(run.source, Run)
    origin = "" if ours else digest(jax.device_get(anchor))
    found = accepted(folder, checkpoints.restore(state), warn)
    state, kept, note = found or (state, {}, {"seconds": 0.0, "seen": []})
    rule = "has other weights than when this run began; --fresh begins anew"
    require(note.get("origin", origin) == origin, run, "source", rule, run.source)
    began -= note["seconds"]
    begin = int(np.asarray(state.step)[0])
    records = folder.rewind(begin)
    candidates = Candidates(run, records, kept)
    seen = note["seen"]
    try:
        for start, stop in blocks(run, begin, dispatch_of(run, jax.default_backend()).block):
            state, metrics = compiled.advance(state, given, stop - start)
            seen.append((stop - start, metrics))
            tick(stop, metrics)
            if due(run, stop, run.evaluate_every):
                record = evaluated(run, compiled, state, splits, seen, stop)
                if run.affinity:
                    paused = time.perf_counter()
                    record["affinity"] = host(compiled.affinity(state, given))
                    began += time.perf_counter() - paused
                seen = []
                records.append(record)
                folder.append(record)
                candidates.add(record, state)
            if due(run, stop, run.checkpoint_every):
                # What the next evaluation averages over begins before the checkpoint.
                pending = [(steps, host(metrics)) for steps, metrics in seen]
                spent = time.perf_counter() - began
                note = {"seconds": spent, "seen": pending, "origin": origin}
                note |= identity_note(folder, stop)
                checkpoints.save(stop, state, candidates.tree(), note)
    finally:
        checkpoints.wait()
    seconds = round(time.perf_counter() - began, 3)
    result = finished(run, folder, state, records, candidates)
    labels = label_counts(run, prepared.given, prepared.splits)
    for text in result["warnings"]:
        warn(f"run {run.name!r}: {text}")
    folder.finish({**result, "labels": labels}, {"seconds": seconds, "bytes": memory})


def evaluated(run: Run, compiled: Program, state: TrainState, splits, seen, step: int) -> dict:
    """What is measured at a step: means of the training since the last time, and evaluation."""
    judged, counts = map(host, compiled.judge(state, splits))
    record = {"step": step, "train": averaged(seen), **judged, **not_finite(counts)}
    check_finite(run, record)
    return record


def finished(run: Run, folder: Folder, state: TrainState, records: list, candidates: Candidates):
    """The result of a run, whose selected parameters are written first."""
    final = plain(state)
    check_parameters(run, final)
    selected = candidates.selected(state)
    write_selected(folder, selected)
    digests = {"state_sha256": digest(final), "selected_sha256": digest(selected)}
    return {**summary(run, records, *parameters(run, state)), **digests}


def blocks(run: Run, start: int, block: int):
    """Stretches of steps `(start, stop)` that end at every evaluation and checkpoint."""
    while start < run.steps:
        stops = [
            start - start % every + every for every in (run.evaluate_every, run.checkpoint_every)
        ]
        stop = min(run.steps, start + block, *stops)
        yield start, stop
        start = stop


def first_block(run: Run) -> int:
    """Length of the first block of steps."""
    return next(blocks(run, 0, dispatch_of(run, jax.default_backend()).block))[1]


def due(run: Run, step: int, every: int) -> bool:
    """Whether something that is done regularly, and at the end, is due."""
    return step % every == 0 or step == run.steps


def averaged(seen: list[tuple[int, dict[str, Any]]]) -> dict[str, list[float]]:
    """Means of the metrics `[S]` over the blocks since the last evaluation."""
    total = sum(steps for steps, _ in seen)
    names = seen[0][1]
    return {
        name: host(
            sum(steps * np.asarray(metrics[name], np.float64) for steps, metrics in seen) / total
        )
        for name in names
    }


def check_finite(run: Run, record: dict[str, Any]) -> None:
    """Stops a run whose loss is no number, before it is written as a measurement."""
    for name, values in record["train"].items():
        for seed, value in enumerate(values):
            if name.startswith("loss/") and not np.isfinite(value):
                raise Diverged(
                    f"run {run.name!r} diverged: {name} is {value} in seed "
                    f"{run.first_seed + seed} by step {record['step']}"
                )


def shapes(run: Run) -> TrainState:
    """Shapes of a run's state, its sources' too; nothing is computed and no data read.

    Raises:
      BadInput: if its data, its source or its settings do not fit together.
    """
    return begun(run, program(run, described(run)))


def begun(run: Run, made: Program) -> TrainState:
    """Shapes of the state that a program begins with."""
    if run.source is None:
        return made.begun(None)
    if not isinstance(run.source, Run):
        return made.begun(jax.eval_shape(lambda read: read, from_file(run)))
    before = shapes(run.source)
    return made.begun((before.params, before.stats))


def check(run: Run, steps: int, splits: Any = None) -> tuple[Program, TrainState, Given]:
    """Traces a run's start, step and evaluation, so that nothing is trained before all runs fit together.

    What is traced here is not traced again when the program trains.

    Args:
      run: what is to be trained.
      steps: length of the block that is traced.
      splits: shapes of what is judged; None takes those of the training data.

    Returns:
      The program, and the shapes of the state and the data of its step.

    Raises:
      BadInput: as `shapes`, and if a penalty or the balancing does not suit the run.
    """
    check_parts(run)
    given = described(run)
    made = program(run, given)
    state = begun(run, made)
    anchor = Start(state.params, state.stats) if run.source is not None else None
    given = opened(run, made, given._replace(anchor=anchor), open_all.eval_shape)
    made.advance.eval_shape(state, given, steps)
    streams = {name: {"image": s.image, **s.labels} for name, s in given.streams.items()}
    jax.eval_shape(made.judge, state, {"train": streams} if splits is None else splits)
    if run.affinity:
        made.affinity.eval_shape(state, given)
    return made, state, given


def opened(run: Run, made: Program, parts: Given, say: Callable[..., Any] = open_all) -> Given:
    """What a run trains on, where it belongs, and what methods say before the first step."""
    given = made.given(parts)
    if given.anchor is None or not begins(run):
        return given
    said = say(dispatch_of(run, jax.default_backend()).seeds, run, given.anchor, given)
    return made.given(given._replace(anchor=given.anchor._replace(said=said)))


def check_parameters(run: Run, tree: dict[str, Any]) -> None:
    """Refuses a run whose very last update broke it, which no loss tells any more."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree["params"]):
        if not np.isfinite(leaf).all():
            raise Diverged(f"run {run.name!r} diverged: {path_text(path)} is not finite at the end")


def parameters(run: Run, state: TrainState) -> tuple[int, int]:
    """Scalars in one seed's model, and those of them that are trained."""
    kept, _ = trainable(run, state.params)
    return size(state.params) // run.seeds, size(kept) // run.seeds
