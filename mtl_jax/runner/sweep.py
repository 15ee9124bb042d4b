"""Trains the runs of an experiment, each once, and writes the table and the figures."""

import argparse
import pathlib
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.toy import ToyExperiment
from mtl_jax.core.validation import BadInput
from mtl_jax.report import figures, table
from mtl_jax.runner import compare, input_digests, sklearn_baseline, sklearn_data, table_rows, toy
from mtl_jax.runner.blas_threads import limit_blas_threads
from mtl_jax.runner.compilation_cache import cache_compilations
from mtl_jax.runner.compile_ahead import CompileAhead, program_bytes
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.divergence import Diverged
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.failures import Failures, exit_code
from mtl_jax.runner.folder_checks import check_folders
from mtl_jax.runner.input_digests import Row
from mtl_jax.runner.listing import print_costs, print_progress
from mtl_jax.runner.memory_check import check_room
from mtl_jax.runner.predict import check_features_from
from mtl_jax.runner.progress import ProgressDisplay
from mtl_jax.runner.run_selection import load_experiment, select_runs, topological_order
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.runner.trace import trace_run
from mtl_jax.runner.train_loop import first_block, train_run
from mtl_jax.storage.files import lock_output_dir, require_file_names
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory


def launch(options: argparse.Namespace) -> int:
    """Executes the command-line options; returns the exit code.

    Bad input and errors in user code print one line to stderr and return 2 (`--debug` also prints
    the traceback); a diverged run prints one line and returns 1. Any other error is a bug and
    keeps its traceback.
    """
    cache_compilations()
    input_digests.forget()
    try:
        if options.compare is not None:
            with explain_errors(""):
                return compare.launch(*options.compare, options.out)
        with explain_errors(""):
            experiment = load_experiment(options.experiment)
        root = options.out or pathlib.Path("results") / (
            options.experiment.stem + ("-smoke" if options.smoke else "")
        )
        if isinstance(experiment, ToyExperiment):
            with explain_errors(""):
                return toy.launch(experiment, options, root)
        every_run = select_runs(experiment, options.set, options.seeds, None, options.smoke)
        experiment = select_runs(
            experiment, options.set, options.seeds, options.only, options.smoke
        )
        if options.list:
            return print_progress(experiment, root)
        if options.dry:
            return print_costs(experiment)
        return sweep(
            experiment,
            every_run,
            root,
            fresh=options.fresh,
            retry=options.retry,
            debug=options.debug,
        )
    except Stopped as stop:
        print(f"{stop.name}: {stop}", file=sys.stderr)
        return stop.exit_code
    except BadInput as error:
        if options.debug:
            traceback.print_exception(error)
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except Diverged as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def sweep(
    experiment: Experiment,
    every_run: Experiment,
    root: pathlib.Path,
    *,
    fresh: bool,
    retry: bool = False,
    debug: bool = False,
) -> int:
    """Trains the unfinished runs; everything is checked before anything is trained.

    A run that fails does not stop the others; the runs that need it are left out, and the table
    says why.

    Args:
      experiment: the requested runs.
      every_run: all runs; the table and figures show the finished ones.
      root: the folder of all results.
      fresh: whether to set old results of the requested runs aside first.
      retry: whether to train runs again that failed in an earlier launch.
      debug: whether to print the tracebacks of errors.

    Returns:
      The exit code: 1 if a row failed.

    Raises:
      Stopped: if a signal stops the launch.
    """
    rows = (*topological_order(experiment), *experiment.sklearn_baselines)
    folders = {row.name: RunDirectory(root, row) for row in rows}
    failures = Failures(debug)
    require_file_names(folders)
    with lock_output_dir(root), StopSignals() as signals:
        check_folders(root, list(folders))
        with explain_errors(""):
            table_rows.check(experiment, every_run, root, fresh, failures)
        if not (fresh or retry):
            failures.add_earlier(folders.values())
        pending = [row for row in rows if is_pending(row, folders[row.name], fresh, failures)]
        runs = [row for row in pending if isinstance(row, Run)]
        baselines = [row for row in pending if isinstance(row, SklearnBaseline)]
        splits = {run.name: check_data(run) for run in runs}
        for row in baselines:
            check_features_from(row)
            sklearn_data.check(row)
        # Fitted before runs train, so that errors of scikit-learn come early, and outside the limit
        # of one BLAS thread, which would change its rounding.
        on_features = [row for row in baselines if row.features_from is not None]
        on_inputs = [row for row in baselines if row.features_from is None]
        fit_baselines(on_inputs, folders, fresh, failures)
        train(runs, splits, folders, fresh, failures, signals)
        fit_baselines(on_features, folders, fresh, failures)
        with explain_errors(f"table and figures in {root}"):
            write_report(every_run, root, failures)
    return exit_code(failures)


def is_pending(row: Row, folder: RunDirectory, fresh: bool, failures: Failures) -> bool:
    """Whether a row is to be trained: it is unfinished, and nothing that it needs has failed."""
    if row.name in failures or not (fresh or not folder.is_finished()):
        return False
    return not failures.add_dependent(row)


def write_report(every_run: Experiment, root: pathlib.Path, failures: Failures) -> None:
    """Writes the table and the figures of the finished rows; the table has those that failed too."""
    done = table_rows.finished_rows(every_run, root, failures)
    if done is None:
        return
    folders = {row.name: RunDirectory(root, row) for row in (*done.runs, *done.sklearn_baselines)}
    names = [row.name for row in (*every_run.runs, *every_run.sklearn_baselines)]
    failed = {name: failures[name] for name in names if name in failures}
    table.write(done, folders, root, failed)
    figures.write(done, folders, root)


def fit_baselines(
    rows: Iterable[SklearnBaseline],
    folders: Mapping[str, RunDirectory],
    fresh: bool,
    failures: Failures,
) -> None:
    """Fits scikit-learn baselines."""
    for row in rows:
        if failures.add_dependent(row):
            continue
        folder = folders[row.name]
        if fresh:
            folder.archive()
        with failures.catch(folder, always=True):
            begin(folder)
            folder.add_history(0)
            source = None if row.features_from is None else folders[row.features_from.name]
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
    ahead.add(run.name, lambda: compiled.train_steps.lower(state, data, steps).compile())
    return compiled


def train(
    runs: list[Run],
    splits: Mapping[str, Any],
    folders: Mapping[str, RunDirectory],
    fresh: bool,
    failures: Failures,
    signals: StopSignals,
) -> None:
    """Trains runs sequentially, all of them checked before the first.

    Args:
      runs: the runs, each after those that it needs.
      splits: the shapes of their evaluation splits, by name.
      folders: their folders, by name.
      fresh: whether the folders are set aside first.
      failures: receives the runs that fail.
      signals: a signal stops the run in training.
    """
    if not runs:
        return
    with limit_blas_threads(), CompileAhead() as ahead:
        programs = {run.name: prepare_program(run, ahead, splits[run.name]) for run in runs}
        for run in runs if fresh else ():
            folders[run.name].archive()
        with ProgressDisplay(len(runs)) as display, failures.print_by(display.print):
            for run in runs:
                display.begin(run)
                compiled, job = programs.pop(run.name), ahead.take(run.name)
                if not failures.add_dependent(run):
                    with failures.catch(folders[run.name]):
                        begin(folders[run.name])
                        train_run(run, compiled, folders, program_bytes(job()), display, signals)
                display.end(failed=run.name in failures)
