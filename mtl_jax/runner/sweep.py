"""Trains the runs of an experiment, each once, and writes the table and the figures."""

import functools
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.html_report import write as page
from mtl_jax.report import figures, table
from mtl_jax.runner import input_digests, sklearn_baseline, sklearn_data, table_rows
from mtl_jax.runner.blas_threads import limit_blas_threads
from mtl_jax.runner.compile_ahead import Compilation, CompileAhead, compile_block
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.failures import Failures, exit_code
from mtl_jax.runner.folder_checks import check_folders
from mtl_jax.runner.input_digests import Row
from mtl_jax.runner.memory_check import check_room
from mtl_jax.runner.observers import Observers
from mtl_jax.runner.predict import check_features_from
from mtl_jax.runner.progress import ProgressDisplay
from mtl_jax.runner.run_selection import topological_order
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.runner.trace import trace_run
from mtl_jax.runner.tracking import Tracking
from mtl_jax.runner.train_loop import first_block, train_run
from mtl_jax.storage.files import lock_output_dir, require_file_names
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory

NO_TRACKING = Tracking((), "")


class SweepOptions(NamedTuple):
    """How the runs of an experiment are trained.

    Attributes:
      fresh: whether old results of the requested runs are set aside first.
      retry: whether runs are trained again that failed in an earlier launch.
      debug: whether the tracebacks of errors are printed, and the operation is located that makes
        a run diverge.
      profile_steps: the least number of steps of each run to profile; 0 for none.
    """

    fresh: bool = False
    retry: bool = False
    debug: bool = False
    profile_steps: int = 0


RESUME = SweepOptions()


class Sweep(NamedTuple):
    """What the parts of a sweep share."""

    options: SweepOptions
    folders: Mapping[str, RunDirectory]  # By row.
    failures: Failures
    signals: StopSignals
    tracking: Tracking


def sweep(
    experiment: Experiment,
    every_run: Experiment,
    root: pathlib.Path,
    options: SweepOptions = RESUME,
    tracking: Tracking = NO_TRACKING,
    question: str = "",
) -> int:
    """Trains the unfinished runs; everything is checked before anything is trained.

    A run that fails does not stop the others; the runs that need it are left out, and the table
    says why.

    Args:
      experiment: the requested runs.
      every_run: all runs; the table and figures show the finished ones.
      root: the folder of all results.
      options: whether to begin anew or to try again, and what to look into.
      tracking: sends measurements and figures to trackers.
      question: what the experiment asks, for its page: the docstring of its file.

    Returns:
      The exit code: 1 if a row failed.

    Raises:
      Stopped: if a signal stops the launch.
    """
    rows = (*topological_order(experiment), *experiment.sklearn_baselines)
    folders = {row.name: RunDirectory(root, row) for row in rows}
    failures = Failures(options.debug)
    require_file_names(folders)
    with lock_output_dir(root), StopSignals() as signals:
        own = Sweep(options, folders, failures, signals, tracking)
        check_folders(root, list(folders))
        with explain_errors(""):
            table_rows.check(experiment, every_run, root, options.fresh, failures)
        if not (options.fresh or options.retry):
            failures.add_earlier(folders.values())
        pending = [row for row in rows if is_pending(own, row)]
        runs = [row for row in pending if isinstance(row, Run)]
        baselines = [row for row in pending if isinstance(row, SklearnBaseline)]
        splits = {run.name: check_data(run) for run in runs}
        for row in baselines:
            check_features_from(row)
            sklearn_data.check(row)
        # Fitted before runs train, so that errors of scikit-learn come early, and outside the limit
        # of one BLAS thread, which would change its rounding.
        fit_baselines(own, [row for row in baselines if row.features_from is None])
        if runs:
            train(own, runs, splits)
        fit_baselines(own, [row for row in baselines if row.features_from is not None])
        with explain_errors(f"table and figures in {root}"):
            write_report(every_run, root, failures, question)
        tracking.log_finished((row for row in rows if row.name not in failures), root)
    return exit_code(failures)


def is_pending(own: Sweep, row: Row) -> bool:
    """Whether a row is to be trained: it is unfinished, and nothing that it needs has failed."""
    is_finished = not own.options.fresh and own.folders[row.name].is_finished()
    if row.name in own.failures or is_finished:
        return False
    return not own.failures.add_dependent(row)


def write_report(
    every_run: Experiment, root: pathlib.Path, failures: Failures, question: str
) -> None:
    """Writes table, figures and page of the finished rows; rows that failed are in the table too."""
    done = table_rows.finished_rows(every_run, root, failures)
    if done is None:
        return
    folders = {row.name: RunDirectory(root, row) for row in (*done.runs, *done.sklearn_baselines)}
    failed = table_rows.failed_rows(every_run, root, failures)
    table.write(done, folders, root, failed)
    figures.write(done, folders, root)
    page.write(question, done, folders, root, failed)


def fit_baselines(own: Sweep, rows: Iterable[SklearnBaseline]) -> None:
    """Fits scikit-learn baselines."""
    for row in rows:
        if own.failures.add_dependent(row):
            continue
        folder = own.folders[row.name]
        if own.options.fresh:
            folder.archive()
        with own.failures.catch(folder, always=True):
            begin(folder)
            folder.add_history(0)
            source = None if row.features_from is None else own.folders[row.features_from.name]
            sklearn_baseline.fit(row, folder, source)


def begin(folder: RunDirectory) -> None:
    """Creates the folder of a row, with the digests of its inputs, or checks these."""
    folder.create(input_digests.input_facts(folder, reload=True))
    input_digests.check(folder, reload=True)


def check_data(run: Run) -> Any:
    """Checks the memory and data of a run; returns the shapes of its evaluation splits."""
    with explain_errors(f"run {run.name!r}", always=has_user_code(run.data)):
        check_room(run)
        loaded = load_run_data(run)
        for note in loaded.notes:
            print(f"warning: {note}", file=sys.stderr)
        shape = jax.ShapeDtypeStruct
        return jax.tree.map(lambda array: shape(array.shape, array.dtype), loaded.splits)


def prepare_program(run: Run, ahead: CompileAhead, splits: Any) -> CompiledRun:
    """Traces and checks a run; returns its program, whose first block is compiled ahead."""
    steps = first_block(run)
    with explain_errors(f"run {run.name!r}", always=has_user_code(run)):
        compiled, state, data = trace_run(run, steps, splits)
    lower = functools.partial(compiled.train_steps.lower, state, data, steps)
    ahead.add(run.name, functools.partial(compile_block, lower))
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
        for run in runs if own.options.fresh else ():
            own.folders[run.name].archive()
        with ProgressDisplay(len(runs)) as display, own.failures.print_by(display.print):
            for run in runs:
                display.begin(run)
                compiled, job = programs.pop(run.name), ahead.take(run.name)
                if not own.failures.add_dependent(run):
                    train_one(own, compiled, job, display)
                display.end(failed=run.name in own.failures)


def train_one(
    own: Sweep, compiled: CompiledRun, job: Callable[[], Compilation], display: ProgressDisplay
) -> None:
    """Trains one run, whose first block a job compiles."""
    folder, options = own.folders[compiled.run.name], own.options
    with own.failures.catch(folder):
        begin(folder)
        compilation = job()
        with own.tracking.follow(folder) as send:
            observers = Observers(display, send, options.profile_steps, options.debug)
            train_run(compiled, own.folders, compilation, observers, own.signals)
    if own.signals.number:  # It came in the last block, or in one that failed.
        raise Stopped(own.signals.number)
