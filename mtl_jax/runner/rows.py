"""Trains rows in this process, one after another, all of them checked before the first."""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.runner import input_digests, sklearn_baseline, sklearn_data
from mtl_jax.runner.blas_threads import limit_blas_threads
from mtl_jax.runner.compile_ahead import CompileAhead, program_bytes
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.failures import Failures
from mtl_jax.runner.input_digests import Row
from mtl_jax.runner.memory_check import check_room
from mtl_jax.runner.predict import check_features_from
from mtl_jax.runner.progress import ProgressDisplay
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.runner.trace import TracedRun, trace_run
from mtl_jax.runner.tracking import Tracking
from mtl_jax.runner.train_loop import first_block, train_run
from mtl_jax.storage.files import lock_row
from mtl_jax.storage.run_data import load_run_data
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
      show_bars: whether progress bars are shown, which only one process of a terminal can.
    """

    root: pathlib.Path
    folders: Mapping[str, RunDirectory]
    failures: Failures
    signals: StopSignals
    tracking: Tracking
    fresh: bool = False
    show_bars: bool = True


# Trains rows, and returns whether all are done with, so that the table is to be written.
Train = Callable[[Sweep, Sequence[Row]], bool]


def train_nothing(own: Sweep, rows: Sequence[Row]) -> bool:
    """Trains no row, and adds those to the failures that failed before or need one that did."""
    for row in rows:
        reason = own.folders[row.name].failure()
        if not own.failures.add_dependent(row) and reason is not None:
            own.failures.add(row.name, reason)
    own.tracking.renew_figures()
    return True


def train_rows(own: Sweep, rows: Sequence[Row]) -> bool:
    """Trains rows, each after those that it needs; returns True, since all are done with.

    Raises:
      BadInput: for data, settings or memory that do not suit, before anything is trained.
      Stopped: if a signal stops it.
    """
    runs = [row for row in rows if isinstance(row, Run)]
    baselines = [row for row in rows if isinstance(row, SklearnBaseline)]
    with lock_rows(own, rows):
        check_memory(runs)
        splits = check_inputs(rows)
        # Fitted before runs train, so that errors of scikit-learn come early, and outside the limit
        # of one BLAS thread, which would change its rounding.
        fit_baselines(own, [row for row in baselines if row.features_from is None])
        if runs:
            train(own, runs, splits)
        fit_baselines(own, [row for row in baselines if row.features_from is not None])
    return True


@contextlib.contextmanager
def lock_rows(own: Sweep, rows: Iterable[Row]) -> Generator[None]:
    """Keeps other processes from training rows.

    Raises:
      BadInput: naming a row that another process trains.
    """
    with contextlib.ExitStack() as locks:
        for row in rows:
            locks.enter_context(lock_row(own.root, row.name))
        yield


def check_memory(runs: Iterable[Run]) -> None:
    """Rejects runs that need more memory than this machine has."""
    for run in runs:
        with explain_errors(f"run {run.name!r}", always=has_user_code(run.data)):
            check_room(run)


def check_inputs(rows: Iterable[Row]) -> dict[str, Any]:
    """Checks the data of rows; returns the shapes of the evaluation splits of runs, by name."""
    splits = {}
    for row in rows:
        if isinstance(row, Run):
            splits[row.name] = check_data(row)
        else:
            check_features_from(row)
            sklearn_data.check(row)
    return splits


def check_rows(rows: Iterable[Row]) -> None:
    """Checks data and settings of rows that other processes train."""
    splits = check_inputs(rows)
    for row in rows:
        if isinstance(row, Run):
            trace(row, splits[row.name])


def fit_baselines(own: Sweep, rows: Iterable[SklearnBaseline]) -> None:
    """Fits scikit-learn baselines."""
    for row in rows:
        if own.failures.add_dependent(row):
            continue
        folder = own.folders[row.name]
        archive(own, [row])
        with own.failures.catch(folder, always=True):
            begin(folder)
            folder.add_history(0)
            source = None if row.features_from is None else own.folders[row.features_from.name]
            sklearn_baseline.fit(row, folder, source)


def archive(own: Sweep, rows: Iterable[Row]) -> None:
    """Sets old results of rows aside if they are to be trained anew."""
    for row in rows if own.fresh else ():
        own.folders[row.name].archive()


def begin(folder: RunDirectory) -> None:
    """Creates the folder of a row, with the digests of its inputs, or checks these."""
    folder.create(input_digests.input_facts(folder, reload=True))
    input_digests.check(folder, reload=True)


def check_data(run: Run) -> Any:
    """Checks the data of a run; returns the shapes of its evaluation splits."""
    with explain_errors(f"run {run.name!r}", always=has_user_code(run.data)):
        loaded = load_run_data(run)
        for note in loaded.notes:
            print(f"warning: {note}", file=sys.stderr)
        shape = jax.ShapeDtypeStruct
        return jax.tree.map(lambda array: shape(array.shape, array.dtype), loaded.splits)


def trace(run: Run, splits: Any) -> TracedRun:
    """Traces a run, whose step has the length of its first block."""
    with explain_errors(f"run {run.name!r}", always=has_user_code(run)):
        return trace_run(run, first_block(run), splits)


def prepare_program(run: Run, ahead: CompileAhead, splits: Any) -> CompiledRun:
    """Traces and checks a run; returns its program, whose first block is compiled ahead."""
    compiled, state, data = trace(run, splits)
    steps = first_block(run)
    ahead.add(run.name, lambda: compiled.train_steps.lower(state, data, steps).compile())
    return compiled


def train(own: Sweep, runs: list[Run], splits: Mapping[str, Any]) -> None:
    """Trains runs sequentially, all of them checked before the first.

    Args:
      own: what the parts of the sweep share.
      runs: the runs, each after those that it needs.
      splits: the shapes of their evaluation splits, by name.
    """
    with limit_blas_threads(), CompileAhead() as ahead:
        programs = {run.name: prepare_program(run, ahead, splits[run.name]) for run in runs}
        archive(own, runs)
        bars = ProgressDisplay(len(runs), own.show_bars)
        with bars as display, own.failures.print_by(display.print):
            for run in runs:
                display.begin(run)
                compiled, job = programs.pop(run.name), ahead.take(run.name)
                if not own.failures.add_dependent(run):
                    train_one(own, compiled, job, display)
                display.end(failed=run.name in own.failures)


def train_one(
    own: Sweep, compiled: CompiledRun, job: Callable[[], Any], display: ProgressDisplay
) -> None:
    """Trains one run, whose first block a job compiles."""
    folder = own.folders[compiled.run.name]
    with own.failures.catch(folder):
        begin(folder)
        num_bytes = program_bytes(job())
        with own.tracking.follow(folder) as send:
            train_run(compiled, own.folders, num_bytes, display, own.signals, send)
    if own.signals.number:  # It came in the last block, or in one that failed.
        raise Stopped(own.signals.number)
