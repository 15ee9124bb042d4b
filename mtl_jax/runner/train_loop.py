"""Trains one run to its end, resuming from its last checkpoint."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.validation import require
from mtl_jax.report.selection import is_stopped
from mtl_jax.report.summary import to_json
from mtl_jax.runner.block_timer import BlockTimer
from mtl_jax.runner.candidates import Candidates
from mtl_jax.runner.compile_ahead import Compilation
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.device_data import put_run_data
from mtl_jax.runner.divergence import Diverged, diverged_seeds, locate
from mtl_jax.runner.evaluation import BlockMetrics, evaluate, write_final
from mtl_jax.runner.execution import default_execution
from mtl_jax.runner.init_params import initial_parameters
from mtl_jax.runner.observers import Observers
from mtl_jax.runner.profiler import StepProfiler
from mtl_jax.runner.resume import checkpoint_identity, resumable
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import examples_per_step


def train_run(
    compiled: CompiledRun,
    folders: Mapping[str, RunDirectory],
    compilation: Compilation,
    observers: Observers,
    signals: StopSignals,
) -> None:
    """Trains or resumes a run, and writes its files.

    Blocks of steps end at the same steps whether or not a run was interrupted, so each step is
    computed by the same compiled function and is bitwise reproducible.

    Args:
      compiled: the compiled run, from `trace_run`.
      folders: the folders of the run, already claimed, and of its finished dependencies, by name.
      compilation: of its first block of steps, stored with the training time.
      observers: what is shown, sent and profiled.
      signals: a signal stops the run after a block, unless it is the last.

    Raises:
      Diverged: if a loss or parameter is not finite.
      Stopped: if a signal stopped it; its last checkpoint is of the last step.
    """
    display = observers.display
    training = Training(compiled, folders, display.warn)
    profiler = StepProfiler(observers.profile_steps, training.folder, display)
    try:
        with signals.deferred(), profiler:
            train_blocks(training, observers, profiler, signals)
    finally:
        training.checkpoints.wait()
    training.write_result(compilation, display.warn)


def train_blocks(
    training: "Training", observers: Observers, profiler: StepProfiler, signals: StopSignals
) -> None:
    """Trains the blocks of steps that remain."""
    run, timer = training.run, training.timer
    blocks = step_blocks(run, training.step, training.compiled.execution.steps_per_call)
    for start, stop in () if training.is_stopped() else blocks:
        steps = stop - start
        with (
            profiler.block(start, stop, timer.is_compiled(steps)) as is_traced,
            timer.measure(steps, not is_traced),
        ):
            metrics = training.train_steps(steps)
            diverged = diverged_seeds(training.state, metrics).any()  # Waits for the block.
        if diverged:
            raise training.locate_divergence(start, stop, observers.debug)
        observers.display.update(stop, metrics, timer.examples_per_second)
        if is_due(run, stop, run.evaluation.every):
            training.evaluate(stop)
            observers.send(training.records)
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
      timer: times the blocks of this launch.
    """

    def __init__(
        self,
        compiled: CompiledRun,
        folders: Mapping[str, RunDirectory],
        warn: Callable[[str], None],
    ):
        """Loads the data, and the initial state or the one of the last checkpoint."""
        self.start_time = time.perf_counter()
        self.run, self.compiled = compiled.run, compiled
        self.folder, self.folders = folders[self.run.name], folders
        self.state, self.data = put_run_data(self.run, compiled, folders)
        self.checkpoints = CheckpointManager(self.folder.checkpoints, warn)
        self.blocks: list[BlockMetrics] = []
        per_seed = examples_per_step(self.run, self.data.train)
        self.timer = BlockTimer(self.run.num_seeds * per_seed)
        candidates = {}
        restored = resumable(self.folder, self.checkpoints.restore(self.state), warn)
        if restored is not None:
            self.state, candidates, note = restored
            require_origin(self.run, note, self.data.origin)
            self.blocks = note["seen"]
            self.start_time -= note["seconds"]
        self.step = int(np.asarray(self.state.step)[0])
        self.records = self.folder.truncate(self.step)
        self.candidates = Candidates(self.run, self.records, candidates)

    def train_steps(self, steps: int) -> dict[str, jax.Array]:
        """Trains for a block of steps; returns its mean metrics `[S]`."""
        self.state, metrics = self.compiled.train_steps(self.state, self.data.train, steps)
        self.blocks.append((steps, metrics))
        return metrics

    def locate_divergence(self, start: int, stop: int, debug: bool) -> Diverged:
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
        steps = range(start + 1, stop + 1)
        return locate(self.compiled, state, self.data.train, steps, self.folder, debug)

    def evaluate(self, step: int) -> None:
        """Evaluates the state after a step, and stores the record."""
        record = evaluate(self.compiled, self.state, self.data, self.blocks, step)
        if self.run.evaluation.measure_affinity:
            start_time = time.perf_counter()
            record["affinity"] = to_json(self.compiled.affinity(self.state, self.data.train))
            self.start_time += time.perf_counter() - start_time
        self.blocks = []
        self.records.append(record)
        self.folder.append(record)
        self.candidates.add(record, self.state)

    def is_stopped(self) -> bool:
        """Whether the run stops early after the last evaluation."""
        return is_stopped(self.run, self.records)

    def save_checkpoint(self, step: int) -> None:
        """Starts writing a checkpoint."""
        note = {
            "seconds": time.perf_counter() - self.start_time,
            # The next evaluation also averages over metrics from before the checkpoint.
            "seen": [(steps, to_json(metrics)) for steps, metrics in self.blocks],
            "origin": self.data.origin,
            **checkpoint_identity(self.folder, step),
        }
        self.checkpoints.save(step, self.state, self.candidates.tree(), note)

    def write_result(self, compilation: Compilation, warn: Callable[[str], None]) -> None:
        """Writes the selected parameters, the timing and the result."""
        seconds = round(time.perf_counter() - self.start_time, 3)
        result = write_final(self.run, self.folder, self.state, self.records, self.candidates)
        for text in result["warnings"]:
            warn(f"run {self.run.name!r}: {text}")
        timing = {
            "seconds": seconds,
            "bytes": compilation.num_bytes,
            "compile_seconds": round(compilation.seconds, 3),
            "examples_per_second": self.timer.examples_per_second,
        }
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
