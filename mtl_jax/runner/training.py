"""A run in training: its state and its files."""

import contextlib
import functools
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.validation import require
from mtl_jax.report.selection import improved_seeds, is_stopped
from mtl_jax.report.summary import to_json
from mtl_jax.runner.block_timer import BlockTimer
from mtl_jax.runner.candidates import Candidates
from mtl_jax.runner.compile_ahead import Compilation
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.device_data import DeviceData, put_run_data
from mtl_jax.runner.distributed import end_on_error
from mtl_jax.runner.divergence import Diverged, locate
from mtl_jax.runner.evaluation import BlockMetrics, Measured, measure, record_of, write_final
from mtl_jax.runner.evaluation_programs import BackgroundCompilation, programs_of_run
from mtl_jax.runner.init_params import initial_parameters
from mtl_jax.runner.resume import checkpoint_identity, resumable, step_of
from mtl_jax.runner.step_blocks import step_blocks
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.processes import fetch, on_first
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import TrainState, examples_per_step


class Training:
    """A run in training: its state, its evaluations so far, and its training time.

    Attributes:
      step: the last step that it has trained.
      state: the current state.
      records: the evaluations so far.
      candidates: the models that validation may still select.
      blocks: the training metrics since the last evaluation.
      share: its share of the time and memory of the program, which a population has in common.
      population: names of the runs that train as one program with it, itself among them.
      timer: times the blocks of this launch.
      evaluations: compiles the programs of its evaluations.
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
        self.population: list[str] = []
        self.folder, self.folders = folders[self.run.name], folders
        with end_on_error():  # Each process reads its part.
            self.state, self.data = start or put_run_data(self.run, compiled, folders)
        self.checkpoints = CheckpointManager(self.folder.checkpoints, warn)
        self.blocks: list[BlockMetrics] = []
        per_seed = examples_per_step(self.run, self.data.train)
        self.timer = BlockTimer(self.run.num_seeds * per_seed)
        candidates = {}
        if last_step is not None:
            self.checkpoints.delete_after(last_step)
        restored = resumable(self.folder, self.checkpoints.restore(self.state), warn)
        if restored is not None:
            self.state, candidates, note = restored
            require_origin(self.run, note, self.data.origin)
            self.blocks = note["seen"]
            self.earlier = note["seconds"]
        self.step = step_of(self.state)
        self.records = on_first(functools.partial(self.folder.truncate, self.step))
        self.candidates = Candidates(self.run, self.records, candidates)
        is_done = start is not None or self.step == self.run.steps
        programs = [] if is_done else programs_of_run(compiled, self.state, self.data)
        self.evaluations = BackgroundCompilation(programs)

    def train_steps(self, steps: int) -> dict[str, np.ndarray]:
        """Trains for a block of steps; returns its mean metrics `[S]`."""
        with self.timer.wait():
            data = self.data.block(self.step, self.step + steps)
        self.state, found = self.compiled.train_steps(self.state, data, steps)
        metrics = fetch(found)
        self.step += steps
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
        first = step_of(state)
        for begin, end in step_blocks(self.run, first, self.compiled.execution.steps_per_call):
            if begin == start:
                break
            data = self.data.steps(begin, end)
            state, _ = self.compiled.train_steps(state, data, end - begin)
            state = self.observe(state, end)
        steps = range(start + 1, stop + 1)
        return locate(self.compiled, state, self.data.steps, steps, self.folder, debug)

    def evaluate(self, step: int, measured: Measured | None = None) -> None:
        """Evaluates the state after a step, and stores the record.

        Args:
          step: the step.
          measured: what is computed of the state, if it is already.
        """
        measured = measured or self.measure(step)
        record = record_of(self.run, measured, self.data.splits, self.blocks, step)
        self.blocks = []
        self.records.append(record)
        self.folder.append(record)
        self.candidates.add(record, self.state)
        self.state = self.observe(self.state, step)

    def measure(self, step: int) -> Measured:
        """Evaluates the state after a step; compilation and the affinity are not counted."""
        with self.uncounted():
            self.evaluations.wait()
        measured = measure(self.compiled, self.state, self.data)
        if not self.run.evaluation.measure_affinity:
            return measured
        with self.uncounted():
            affinity = fetch(self.compiled.affinity(self.state, self.data.steps(step, step + 1)))
        return measured._replace(affinity=affinity)

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

    @contextlib.contextmanager
    def uncounted(self) -> Generator[None]:
        """Does not count the time of the block as training time."""
        start_time = time.perf_counter()
        yield
        self.start_time += time.perf_counter() - start_time

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
            "population": self.population,
            **checkpoint_identity(self.folder, step),
        }
        self.checkpoints.save(step, self.state, self.candidates.tree(), note)

    def write_result(self, compilation: Compilation, warn: Callable[[str], None]) -> None:
        """Writes the selected parameters, the timing and the result."""
        result = write_final(self.compiled, self.folder, self.state, self.data, self.candidates)
        for text in result["warnings"]:
            warn(f"run {self.run.name!r}: {text}")
        num_bytes = compilation.num_bytes
        timing = {
            "seconds": round(self.seconds, 3),
            "bytes": num_bytes if num_bytes is None else round(self.share * num_bytes),
            "compile_seconds": round(self.share * compilation.seconds, 3),
            "examples_per_second": self.timer.examples_per_second,
            **({} if self.data.streamed is None else {"wait_share": self.timer.wait_share}),
        }
        self.folder.write_result({**result, "labels": self.data.label_counts}, timing)


def require_origin(run: Run, note: dict[str, Any], origin: str) -> None:
    """Requires that the initial weights are those of the checkpoint that has the note."""
    rule = "has other weights than when this run began; --fresh begins anew"
    source = run.initialization.init_from
    require(note.get("origin", origin) == origin, run, "initialization.init_from", rule, source)
