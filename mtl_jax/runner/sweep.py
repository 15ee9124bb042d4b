"""Checks the rows of an experiment, has them trained, and writes the table and the figures."""

import contextlib
import functools
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from mtl_jax.config.experiment import Experiment
from mtl_jax.core.validation import BadInput, did_you_mean, few
from mtl_jax.html_report import write as page
from mtl_jax.report import figures, table, tuning
from mtl_jax.runner import input_digests, table_rows
from mtl_jax.runner.error_messages import explain_errors
from mtl_jax.runner.failures import Failures, exit_code
from mtl_jax.runner.folder_checks import check_folders
from mtl_jax.runner.input_digests import Row, row_dependencies
from mtl_jax.runner.rows import Train, train_rows
from mtl_jax.runner.run_selection import rows_of
from mtl_jax.runner.signals import StopSignals
from mtl_jax.runner.tracking import Tracking
from mtl_jax.runner.train_programs import Sweep
from mtl_jax.storage.files import create_output_dir, lock_output_dir, require_file_names
from mtl_jax.storage.processes import is_same, on_first
from mtl_jax.storage.run_directory import RunDirectory

NO_TRACKING = Tracking((), "")


class SweepOptions(NamedTuple):
    """How the rows of an experiment are trained.

    Attributes:
      fresh: whether old results of the requested rows are set aside first.
      retry: whether rows are trained again that failed in an earlier launch.
      debug: whether the tracebacks of errors are printed, and the operation is located that makes
        a run diverge.
      profile_steps: the least number of steps of each run to profile; 0 for none.
      train: trains the unfinished rows.
      failures: the rows that failed in this launch before; None for none.
    """

    fresh: bool = False
    retry: bool = False
    debug: bool = False
    profile_steps: int = 0
    train: Train = train_rows
    failures: Failures | None = None


RESUME = SweepOptions()


def sweep(
    experiment: Experiment,
    every_run: Experiment,
    root: pathlib.Path,
    options: SweepOptions = RESUME,
    tracking: Tracking = NO_TRACKING,
    question: str = "",
) -> int:
    """Trains the unfinished rows; everything is checked before anything is trained.

    A row that fails does not stop the others; the rows that need it are left out, and the table
    says why.

    Args:
      experiment: the requested runs.
      every_run: all runs; the table and figures show the finished ones.
      root: the folder of all results.
      options: whether to begin anew or to try again, and where to train.
      tracking: sends measurements and figures to trackers.
      question: what the experiment asks, for its page: the docstring of its file.

    Returns:
      The exit code: 1 if a row failed.

    Raises:
      Stopped: if a signal stops the launch.
    """
    rows = rows_of(experiment)
    folders = {row.name: RunDirectory(root, row) for row in rows}
    failures = Failures(options.debug) if options.failures is None else options.failures
    require_file_names(folders)
    require_same_rows(folders)
    with contextlib.ExitStack() as locks, StopSignals() as signals:
        on_first(lambda: lock(root, locks))
        own = Sweep(
            root, folders, failures, signals, tracking, options.fresh,
            profile_steps=options.profile_steps, max_population=experiment.max_population,
            mesh=experiment.mesh,
        )  # fmt: skip
        names, earlier = on_first(
            functools.partial(pending_names, own, experiment, every_run, options)
        )
        failures.update(earlier)
        if options.train(own, [row for row in rows if row.name in names]):
            on_first(functools.partial(write_report, every_run, root, failures, question))
            tracking.log_finished((row for row in rows if row.name not in failures), root)
    return exit_code(failures)


def lock(root: pathlib.Path, locks: contextlib.ExitStack) -> None:
    """Creates and locks the folder of all results."""
    locks.enter_context(lock_output_dir(root))


def require_same_rows(folders: Mapping[str, RunDirectory]) -> None:
    """Requires that all processes of a launch have the same rows.

    Raises:
      BadInput: if they differ.
    """
    if not is_same(lambda: [(name, folder.fingerprint) for name, folder in folders.items()]):
        raise BadInput("--distributed: the experiment has other rows in other processes")


def pending_names(
    own: Sweep, experiment: Experiment, every_run: Experiment, options: SweepOptions
) -> tuple[list[str], dict[str, str]]:
    """Checks the folders; returns the names of the rows to train, and the failures before."""
    check_folders(own.root, list(own.folders))
    with explain_errors(""):
        table_rows.check(experiment, every_run, own.root, options.fresh, own.failures)
    if not (options.fresh or options.retry):
        own.failures.add_earlier(own.folders.values())
    names = [row.name for row in rows_of(experiment) if is_pending(own, row)]
    return names, dict(own.failures)


def is_pending(own: Sweep, row: Row) -> bool:
    """Whether a row is to be trained: it is unfinished, and nothing that it needs has failed."""
    if row.name in own.failures or not (own.fresh or not own.folders[row.name].is_finished()):
        return False
    return not own.failures.add_dependent(row)


def write_report(
    every_run: Experiment, root: pathlib.Path, failures: Failures, question: str
) -> None:
    """Writes table, figures and page of the finished rows; rows that failed are in the table too."""
    with explain_errors(f"table and figures in {root}"):
        write_parts(every_run, root, failures, question)


def write_parts(
    every_run: Experiment, root: pathlib.Path, failures: Failures, question: str
) -> None:
    """Writes the parts of a report, as `write_report`."""
    done = table_rows.finished_rows(every_run, root, failures)
    if done is None:
        return
    folders = {row.name: RunDirectory(root, row) for row in (*done.runs, *done.sklearn_baselines)}
    failed = table_rows.failed_rows(every_run, root, failures)
    done, choices = tuning.choose(done, folders, failed)
    if done is None:
        return
    tuning.write(choices, root)
    table.write(done, folders, root, failed)
    figures.write(done, folders, root)
    page.write(question, done, folders, root, failed)


def sweep_row(
    experiment: Experiment, name: str, root: pathlib.Path, debug: bool, tracking: Tracking
) -> int:
    """Trains one row, which another process may do for another row at the same time.

    Args:
      experiment: the requested runs.
      name: the row, or a run that a row needs; those that it needs itself are finished.
      root: the folder of all results.
      debug: whether the tracebacks of errors are printed.
      tracking: sends the row's measurements to trackers.

    Returns:
      The exit code: 1 if the row failed.

    Raises:
      BadInput: if there is no such row, or one that it needs is not finished.
      Stopped: if a signal stops it.
    """
    folders = {row.name: RunDirectory(root, row) for row in rows_of(experiment)}
    if name not in folders:
        raise BadInput(f"--row {name}: matches no row; {did_you_mean(name, folders)}")
    row, failures = folders[name].run, Failures(debug)
    require_file_names([name])
    require_same_rows({name: folders[name]})
    with StopSignals(second_ends=False) as signals:
        if on_first(functools.partial(is_row_pending, root, folders, name)):
            own = Sweep(
                root, folders, failures, signals, tracking, show_bars=False, mesh=experiment.mesh
            )
            train_rows(own, [row])
    return exit_code(failures)


def is_row_pending(root: pathlib.Path, folders: Mapping[str, RunDirectory], name: str) -> bool:
    """Checks the folders of a row and of those that it needs; returns whether it is to be trained.

    Raises:
      BadInput: if one that it needs is not finished.
    """
    needed = [folders[run.name] for run in row_dependencies(folders[name].run)]
    missing = [folder.run.name for folder in needed if not folder.is_finished()]
    if missing:
        raise BadInput(f"--row {name}: it needs {few(missing, 3)}, which is not finished")
    create_output_dir(root)
    check_folders(root, [name])
    folders[name].check()
    with explain_errors(""):
        input_digests.check(folders[name])
    return not folders[name].is_finished()
