"""The programs of a run's evaluations, which are compiled while its first block of steps is."""

import concurrent.futures
from collections.abc import Iterable
from typing import Any

from jax.stages import Lowered

from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.device_data import DeviceData
from mtl_jax.runner.evaluated_models import splits_at_end, splits_during
from mtl_jax.train import TrainState


class BackgroundCompilation:
    """A thread that compiles programs in FIFO order; they stay in JAX's cache."""

    def __init__(self, programs: Iterable[Lowered]):
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.futures = [self.pool.submit(program.compile) for program in programs]

    def wait(self) -> None:
        """Waits until all are compiled; raises an error of the compiler."""
        for future in self.futures:
            future.result()

    def close(self) -> None:
        """Ends the thread after the program that it is compiling, without waiting for it."""
        self.pool.shutdown(wait=False, cancel_futures=True)


def programs_of_run(compiled: CompiledRun, state: TrainState, data: DeviceData) -> list[Lowered]:
    """The evaluations of a run during training and at its end, and its affinity."""
    if data.streamed is not None:  # They are evaluated in parts.
        return []
    run, programs = compiled.run, []
    if run.evaluation.measure_affinity:
        programs.append(compiled.affinity.lower(state, data.train))
    during = lower_evaluation(compiled, state, splits_during(run, data.splits))
    return [*programs, *during, *programs_at_end(compiled, state, data)]


def programs_at_end(compiled: CompiledRun, state: TrainState, data: DeviceData) -> list[Lowered]:
    """The evaluation at the end of a run."""
    return lower_evaluation(compiled, state, splits_at_end(compiled.run, data.splits))


def lower_evaluation(compiled: CompiledRun, state: TrainState, splits: Any) -> list[Lowered]:
    """The evaluation of one model; none if there are no splits."""
    args = (compiled.evaluation_config, state.params, state.batch_stats, splits)
    return [compiled.jitted_evaluation.lower(*args)] if splits else []
