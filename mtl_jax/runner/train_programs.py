"""Trains the programs of a launch, one after the other; a run that fails does not stop the others."""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.run import Run
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import input_digests
from mtl_jax.runner.blas_threads import limit_blas_threads
from mtl_jax.runner.compile_ahead import Compilation, CompileAhead
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.distributed import end_on_error
from mtl_jax.runner.divergence import Diverged
from mtl_jax.runner.failures import Failures
from mtl_jax.runner.input_digests import Row
from mtl_jax.runner.observers import Observers
from mtl_jax.runner.population import Population
from mtl_jax.runner.population_loop import PopulationTraining, parts_by_step, train_population
from mtl_jax.runner.population_member import Member
from mtl_jax.runner.programs import DataShapes, Group, Program, prepare_group
from mtl_jax.runner.progress import ProgressDisplay
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.runner.tracking import Tracking
from mtl_jax.runner.train_loop import train_run
from mtl_jax.storage.processes import in_all, is_first, largest, on_first, wait_for_all
from mtl_jax.storage.run_directory import RunDirectory


class Sweep(NamedTuple):
    """What the parts of a sweep share.

    Attributes:
      root: the folder of all results.
      folders: the folders of the rows, by name.
      failures: the rows that failed.
      signals: stops a run in training.
      tracking: sends measurements to trackers.
      fresh: whether old results are set aside first.
      profile_steps: the least number of steps of each run to profile; 0 for none.
      max_population: how many runs may train as one program; None is as many as fit into memory.
      mesh: how all devices are arranged; None arranges them for each run.
      show_bars: whether progress bars are shown, which only one process of a terminal can.
    """

    root: pathlib.Path
    folders: Mapping[str, RunDirectory]
    failures: Failures
    signals: StopSignals
    tracking: Tracking
    fresh: bool = False
    show_bars: bool = True
    profile_steps: int = 0
    max_population: int | None = None
    mesh: DeviceMesh | None = None


def archive(own: Sweep, rows: Iterable[Row]) -> None:
    """Sets old results of rows aside if they are to be trained anew."""
    if own.fresh:
        archive_all([own.folders[row.name] for row in rows])


def archive_all(folders: Sequence[RunDirectory]) -> None:
    """Sets results aside."""

    def rename() -> None:
        for folder in folders:
            folder.archive()

    on_first(rename)


def begin(folder: RunDirectory) -> None:
    """Creates the folder of a row, with the digests of its inputs, or checks these."""
    folder.create(input_digests.input_facts(folder, reload=True))
    input_digests.check(folder, reload=True)


def train(own: Sweep, groups: list[Group], shapes: list[dict[int, DataShapes]]) -> None:
    """Trains groups of runs sequentially, all of them checked before the first.

    Args:
      own: what the parts of the sweep share.
      groups: the runs, each group after those that it needs.
      shapes: the shapes of their data, by first seed.
    """
    with limit_blas_threads(), CompileAhead() as ahead:
        programs = in_all(
            lambda: [
                program
                for group, own_shapes in zip(groups, shapes, strict=True)
                for program in prepare_group(group, own_shapes, ahead, own.mesh)
            ]
        )
        runs = [run for program in programs for run in program.runs]
        archive(own, runs)
        with (
            ProgressDisplay(len(runs), own.show_bars) as display,
            own.failures.print_by(display.print),
        ):
            for program in programs:
                train_program(own, program, ahead.take(program.name), display)


def train_program(
    own: Sweep, program: Program, job: Callable[[], Compilation], display: ProgressDisplay
) -> None:
    """Trains the runs of a program, whose first block a job compiles."""
    display.begin(*program.runs)
    runs = [run for run in program.runs if not own.failures.add_dependent(run)]
    if isinstance(program.functions, Population):
        train_together(own, program.functions, runs, job, display)
    elif runs:
        train_one(own, program.functions, job, display)
    display.end(failed=all(run.name in own.failures for run in program.runs))
    number = largest(own.signals.number or 0)
    if number:  # It came in the last block, or in one that failed.
        raise Stopped(number)


def train_one(
    own: Sweep, compiled: CompiledRun, job: Callable[[], Compilation], display: ProgressDisplay
) -> None:
    """Trains one run."""
    folder = own.folders[compiled.run.name]
    with own.failures.catch(folder):
        on_first(functools.partial(begin, folder))
        with end_on_error(BadInput, Diverged), own.tracking.follow(folder) as send:
            wait_for_all()
            profile_steps = own.profile_steps if is_first() else 0
            observers = Observers(display, send, profile_steps, own.failures.debug)
            train_run(compiled, own.folders, job, observers, own.signals)


def train_together(
    own: Sweep,
    population: Population,
    runs: Iterable[Run],
    job: Callable[[], Compilation],
    display: ProgressDisplay,
) -> None:
    """Trains runs of a population, those together that can resume from the same step."""
    for folders in parts_by_step(own.folders[run.name] for run in runs):
        with contextlib.ExitStack() as stack:
            members = [enter_member(own, population, folder, stack) for folder in folders]
            for member in members:
                member.attempt(begin, member.folder)
            observers = Observers(display, debug=own.failures.debug)
            training = PopulationTraining(population, members, own.folders, observers)
            train_population(training, job, own.signals)


def enter_member(
    own: Sweep, population: Population, folder: RunDirectory, stack: contextlib.ExitStack
) -> Member:
    """A member of a population, whose errors make its row fail and whose records are tracked."""
    inner = stack.enter_context(contextlib.ExitStack())
    inner.enter_context(own.failures.catch(folder))
    send = inner.enter_context(own.tracking.follow(folder))
    return Member(population.runs.index(folder.run), folder, inner, send)
