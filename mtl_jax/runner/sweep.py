"""Trains the runs of an experiment, each once, and writes the table and the figures."""

import pathlib
import sys
from collections.abc import Iterable
from typing import Any

import jax

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.html_report import write as page
from mtl_jax.report import figures, table, tuning
from mtl_jax.runner import sklearn_baseline, sklearn_data, table_rows
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.failures import Failures, exit_code
from mtl_jax.runner.folder_checks import check_folders
from mtl_jax.runner.input_digests import Row
from mtl_jax.runner.memory_check import check_room
from mtl_jax.runner.population import group_runs
from mtl_jax.runner.predict import check_features_from
from mtl_jax.runner.programs import pending_groups
from mtl_jax.runner.run_selection import topological_order
from mtl_jax.runner.signals import StopSignals
from mtl_jax.runner.tracking import Tracking
from mtl_jax.runner.train_programs import Sweep, SweepOptions, begin, train
from mtl_jax.storage.files import lock_output_dir, require_file_names
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory

NO_TRACKING = Tracking((), "")


RESUME = SweepOptions()


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
        every = [row for row in rows if isinstance(row, Run)]
        groups = group_runs(every, 1 if options.profile_steps else experiment.max_population)
        own_groups = pending_groups(groups, {run.name for run in runs}, folders, options.fresh)
        splits = [check_data(group.runs[0]) for group in own_groups]  # Its runs have the same.
        for row in baselines:
            check_features_from(row)
            sklearn_data.check(row)
        # Fitted before runs train, so that errors of scikit-learn come early, and outside the limit
        # of one BLAS thread, which would change its rounding.
        fit_baselines(own, [row for row in baselines if row.features_from is None])
        if runs:
            train(own, own_groups, splits)
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
    done, choices = tuning.choose(done, folders, failed)
    tuning.write(choices, root)
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


def check_data(run: Run) -> Any:
    """Checks the memory and data of a run; returns the shapes of its evaluation splits."""
    with explain_errors(f"run {run.name!r}", always=has_user_code(run.data)):
        check_room(run)
        loaded = load_run_data(run)
        for note in loaded.notes:
            print(f"warning: {note}", file=sys.stderr)
        shape = jax.ShapeDtypeStruct
        return jax.tree.map(lambda array: shape(array.shape, array.dtype), loaded.splits)
