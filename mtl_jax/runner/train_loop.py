"""Trains one run to its end, resuming from its last checkpoint."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.validation import require
from mtl_jax.report.selection import improved_seeds, is_stopped
from mtl_jax.report.summary import to_json
from mtl_jax.runner.candidates import Candidates
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.device_data import DeviceData, put_run_data
from mtl_jax.runner.divergence import Diverged, diverged_seeds, locate
from mtl_jax.runner.evaluation import BlockMetrics, evaluate, write_final
from mtl_jax.runner.execution import default_execution
from mtl_jax.runner.init_params import initial_parameters
from mtl_jax.runner.progress import ProgressDisplay
from mtl_jax.runner.resume import checkpoint_identity, resumable
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import TrainState


def train_run(
    compiled: CompiledRun,
    folders: Mapping[str, RunDirectory],
    num_bytes: int | None,
    display: ProgressDisplay,
    signals: StopSignals,
    send: Callable[[list[dict[str, Any]]], None] = lambda records: None,
) -> None:
    """Trains or resumes a run, and writes its files.

    Blocks of steps end at the same steps whether or not a run was interrupted, so each step is
    computed by the same compiled function and is bitwise reproducible.

    Args:
      compiled: the compiled run, from `trace_run`.
      folders: the folders of the run, already claimed, and of its finished dependencies, by name.
      num_bytes: bytes that its steps need, stored with the training time.
      display: shows the progress after every block, and warnings.
      signals: a signal stops the run after a block, unless it is the last.
      send: called with the records so far after every evaluation.

    Raises:
      Diverged: if a loss or parameter is not finite.
      Stopped: if a signal stopped it; its last checkpoint is of the last step.
    """
    training = Training(compiled, folders, display.warn)
    try:
        with signals.deferred():
            train_blocks(training, display, signals, send)
    finally:
        training.checkpoints.wait()
    training.write_result(num_bytes, display.warn)


def train_blocks(
    training: "Training",
    display: ProgressDisplay,
    signals: StopSignals,
    send: Callable[[list[dict[str, Any]]], None],
) -> None:
    """Trains the blocks of steps that remain."""
    run = training.run
    blocks = step_blocks(run, training.step, training.compiled.execution.steps_per_call)
    for start, stop in () if training.is_stopped() else blocks:
        metrics = training.train_steps(stop - start)
        if diverged_seeds(training.state, metrics).any():
            raise training.locate_divergence(start, stop)
        display.update(stop, metrics)
        if is_due(run, stop, run.evaluation.every):
            training.evaluate(stop)
            send(training.records)
        stopped = is_due(run, stop, run.evaluation.every) and training.is_stopped()
        if stopped or signals.number or is_due(run, stop, run.evaluation.checkpoint_every):
            training.save_checkpoint(stop)
        if stopped:
            break
        if signals.number and stop < run.steps:
            training.checkpoints.wait()
            text = f"run {run.name!r} stopped after step {stop}; launch again to go on"
            raise Stopped(signals.number, text)


class Training:
    """A run in training: its state, its evaluations so far, and its training time.

    Attributes:
      step: the step from which it trains or resumes.
      state: the current state.
      records: the evaluations so far.
      candidates: the models that validation may still select.
      blocks: the training metrics since the last evaluation.
      share: the share of the time of this launch that counts as its own.
    """

    def __init__(
        self,
        compiled: CompiledRun,
        folders: Mapping[str, RunDirectory],
        warn: Callable[[str], None],
        start: tuple[TrainState, DeviceData] | None = None,
        last_step: int | None = None,
    ):
        """Loads the data, and the initial state or the one of the last checkpoint.

        Args:
          compiled: the compiled run.
          folders: the folders of the run and of its dependencies, by name.
          warn: shows a warning.
          start: the initial state and the data, if they are there already.
          last_step: the latest step to resume from; later checkpoints are deleted.
        """
        self.start_time, self.share, self.earlier = time.perf_counter(), 1.0, 0.0
        self.run, self.compiled = compiled.run, compiled
        self.folder, self.folders = folders[self.run.name], folders
        self.state, self.data = start or put_run_data(self.run, compiled, folders)
        self.checkpoints = CheckpointManager(self.folder.checkpoints, warn)
        self.blocks: list[BlockMetrics] = []
        candidates = {}
        if last_step is not None:
            self.checkpoints.delete_after(last_step)
        restored = resumable(self.folder, self.checkpoints.restore(self.state), warn)
        if restored is not None:
            self.state, candidates, note = restored
            require_origin(self.run, note, self.data.origin)
            self.blocks = note["seen"]
            self.earlier = note["seconds"]
        self.step = int(np.asarray(self.state.step)[0])
        self.records = self.folder.truncate(self.step)
        self.candidates = Candidates(self.run, self.records, candidates)

    def train_steps(self, steps: int) -> dict[str, jax.Array]:
        """Trains for a block of steps; returns its mean metrics `[S]`."""
        self.state, metrics = self.compiled.train_steps(self.state, self.data.train, steps)
        self.blocks.append((steps, metrics))
        return metrics

    def locate_divergence(self, start: int, stop: int) -> Diverged:
        """The error of a run that diverged in the block after step `start`.

        The blocks since the last checkpoint, which is finite, are repeated.
        """
        self.checkpoints.wait()
        restored = self.checkpoints.restore(self.state)
        if restored is None:
            state = self.compiled.init(initial_parameters(self.run, self.folders))
        else:
            state = restored.state
        first = int(np.asarray(state.step)[0])
        for begin, end in step_blocks(self.run, first, self.compiled.execution.steps_per_call):
            if begin == start:
                break
            state, _ = self.compiled.train_steps(state, self.data.train, end - begin)
            state = self.observe(state, end)
        steps = range(start + 1, stop + 1)
        return locate(self.compiled, state, self.data.train, steps, self.folder)

    def evaluate(self, step: int, affinity: Mapping[str, Any] | None = None) -> None:
        """Evaluates the state after a step, and stores the record.

        Args:
          step: the step.
          affinity: the affinity between tasks, if it is measured already.
        """
        record = evaluate(self.compiled, self.state, self.data, self.blocks, step)
        if self.run.evaluation.measure_affinity:
            start_time = time.perf_counter()
            found = affinity or self.compiled.affinity(self.state, self.data.train)
            record["affinity"] = to_json(found)
            self.start_time += time.perf_counter() - start_time
        self.blocks = []
        self.records.append(record)
        self.folder.append(record)
        self.candidates.add(record, self.state)
        self.state = self.observe(self.state, step)

    def observe(self, state: TrainState, step: int) -> TrainState:
        """The state after its optimizer has observed the evaluation of a step, if it does so."""
        records = [record for record in self.records if record["step"] <= step]
        is_evaluated = records and records[-1]["step"] == step
        if not self.run.optimizer.observes_validation or not is_evaluated:
            return state
        improved = improved_seeds(self.run, records)
        return state._replace(opt_state=self.compiled.observe(state.opt_state, improved))

    @property
    def seconds(self) -> float:
        """Training time, of earlier launches too."""
        return self.earlier + self.share * (time.perf_counter() - self.start_time)

    def is_stopped(self) -> bool:
        """Whether the run stops early after the last evaluation."""
        return is_stopped(self.run, self.records)

    def save_checkpoint(self, step: int) -> None:
        """Starts writing a checkpoint."""
        note = {
            "seconds": self.seconds,
            # The next evaluation also averages over metrics from before the checkpoint.
            "seen": [(steps, to_json(metrics)) for steps, metrics in self.blocks],
            "origin": self.data.origin,
            **checkpoint_identity(self.folder, step),
        }
        self.checkpoints.save(step, self.state, self.candidates.tree(), note)

    def write_result(self, num_bytes: int | None, warn: Callable[[str], None]) -> None:
        """Writes the selected parameters, the timing and the result."""
        result = write_final(self.run, self.folder, self.state, self.records, self.candidates)
        for text in result["warnings"]:
            warn(f"run {self.run.name!r}: {text}")
        timing = {"seconds": round(self.seconds, 3), "bytes": num_bytes}
        self.folder.write_result({**result, "labels": self.data.label_counts}, timing)


def require_origin(run: Run, note: dict[str, Any], origin: str) -> None:
    """Requires that the initial weights are those of the checkpoint that has the note."""
    rule = "has other weights than when this run began; --fresh begins anew"
    source = run.initialization.init_from
    require(note.get("origin", origin) == origin, run, "initialization.init_from", rule, source)


def step_blocks(run: Run, start: int, block: int) -> Iterator[tuple[int, int]]:
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
    steps_per_call = default_execution(run, jax.default_backend()).steps_per_call
    _, stop = next(step_blocks(run, 0, steps_per_call))
    return stop


def is_due(run: Run, step: int, every: int) -> bool:
    """Whether an action that happens every `every` steps and at the end is due."""
    return step % every == 0 or step == run.steps
