"""Trains one run to its end, resuming from its last checkpoint."""

from collections.abc import Callable, Mapping

from mtl_jax.runner.compile_ahead import Compilation
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.distributed import end_on_error
from mtl_jax.runner.divergence import Diverged, diverged_seeds
from mtl_jax.runner.observers import Observers
from mtl_jax.runner.profiler import StepProfiler
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.runner.step_blocks import is_due, step_blocks
from mtl_jax.runner.training import Training
from mtl_jax.storage.processes import largest, wait_for_all
from mtl_jax.storage.run_directory import RunDirectory


def train_run(
    compiled: CompiledRun,
    folders: Mapping[str, RunDirectory],
    job: Callable[[], Compilation],
    observers: Observers,
    signals: StopSignals,
) -> None:
    """Trains or resumes a run, and writes its files.

    Blocks of steps end at the same steps whether or not a run was interrupted, so each step is
    computed by the same compiled function and is bitwise reproducible.

    Args:
      compiled: the compiled run, from `trace_run`.
      folders: the folders of the run, already claimed, and of its finished dependencies, by name.
      job: gives the program of its first block, which may be compiling; its data are loaded first.
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
        with training.uncounted():
            compilation = job()
        wait_for_all()
        with end_on_error(Diverged):
            with signals.deferred(), profiler:
                train_blocks(training, observers, profiler, signals)
            training.checkpoints.wait()
            training.write_result(compilation, display.warn)
    finally:
        training.evaluations.close()
        training.data.close()
        training.checkpoints.wait()


def train_blocks(
    training: Training, observers: Observers, profiler: StepProfiler, signals: StopSignals
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
        share = None if training.data.streamed is None else timer.wait_share
        observers.display.update(stop, metrics, timer.examples_per_second, share)
        if is_due(run, stop, run.evaluation.every):
            training.evaluate(stop)
            observers.send(training.records)
        stopped = is_due(run, stop, run.evaluation.every) and training.is_stopped()
        number = largest(signals.number or 0)
        if stopped or number or is_due(run, stop, run.evaluation.checkpoint_every):
            training.save_checkpoint(stop)
        if stopped:
            break
        if number and stop < run.steps:
            training.checkpoints.wait()
            text = f"run {run.name!r} stopped after step {stop}; launch again to go on"
            raise Stopped(number, text)
