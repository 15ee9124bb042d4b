"""Trains rows in this process, one after another, all of them checked before the first."""

import contextlib
import functools
import sys
from collections.abc import Callable, Generator, Iterable, Sequence

import jax

from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.tree import shapes_of
from mtl_jax.runner import sklearn_baseline, sklearn_data
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.first_seeds import by_first_seed
from mtl_jax.runner.input_digests import Row
from mtl_jax.runner.memory_check import check_room
from mtl_jax.runner.population_groups import check_population, group_runs
from mtl_jax.runner.predict import check_features_from
from mtl_jax.runner.programs import DataShapes, Group, pending_groups
from mtl_jax.runner.trace import trace_run
from mtl_jax.runner.train_programs import Sweep, begin, train
from mtl_jax.storage.files import lock_row
from mtl_jax.storage.processes import in_all, on_first
from mtl_jax.storage.run_data import load_run_data

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
        groups = groups_of(own, runs)
        shapes = in_all(lambda: check_memory_and_inputs(groups, baselines))
        # Fitted before runs train, so that errors of scikit-learn come early, and outside the limit
        # of one BLAS thread, which would change its rounding.
        fit_baselines(own, [row for row in baselines if row.features_from is None])
        if runs:
            train(own, groups, shapes)
        fit_baselines(own, [row for row in baselines if row.features_from is not None])
    return True


@contextlib.contextmanager
def lock_rows(own: Sweep, rows: Iterable[Row]) -> Generator[None]:
    """Keeps other processes from training rows.

    Raises:
      BadInput: naming a row that another process trains.
    """
    with contextlib.ExitStack() as locks:

        def lock() -> None:
            for row in rows:
                locks.enter_context(lock_row(own.root, row.name))

        on_first(lock)
        yield


def groups_of(own: Sweep, runs: Iterable[Run]) -> list[Group]:
    """The runs that are to be trained, those together that can be one program."""
    every = [folder.run for folder in own.folders.values() if isinstance(folder.run, Run)]
    most = 1 if own.profile_steps or jax.process_count() > 1 else own.max_population
    names = {run.name for run in runs}
    groups = pending_groups(group_runs(every, most), names, own.folders, own.fresh)
    for group in groups if most is not None else ():
        check_population(group.population)
    return groups


def check_memory_and_inputs(
    groups: Sequence[Group], baselines: Iterable[SklearnBaseline]
) -> list[dict[int, DataShapes]]:
    """Checks memory and data; returns the shapes of the data of each group, by first seed."""
    # Runs of a group with the same first seed have the same data.
    check_memory(run for group in groups for run in by_first_seed(group.runs).values())
    shapes = [
        {
            seed: check_data(run, warns=run in group.runs)
            for seed, run in by_first_seed((*group.runs, *group.population)).items()
        }
        for group in groups
    ]
    check_baselines(baselines)
    return shapes


def check_memory(runs: Iterable[Run]) -> None:
    """Rejects runs that need more memory than this machine has."""
    for run in runs:
        with explain_errors(f"run {run.name!r}", always=has_user_code(run.data)):
            check_room(run)


def check_baselines(rows: Iterable[SklearnBaseline]) -> None:
    """Checks the data of scikit-learn baselines."""
    for row in rows:
        check_features_from(row)
        sklearn_data.check(row)


def check_rows(rows: Sequence[Row], requested: DeviceMesh | None = None) -> None:
    """Checks data and settings of rows that other processes train, and a mesh of these devices."""
    runs = [row for row in rows if isinstance(row, Run)]
    shapes = [check_data(run) for run in runs]
    check_baselines(row for row in rows if isinstance(row, SklearnBaseline))
    for run, own in zip(runs, shapes, strict=True):
        with explain_errors(f"run {run.name!r}", always=has_user_code(run)):
            trace_run(run, splits=own.splits, requested=requested)


def fit_baselines(own: Sweep, rows: Iterable[SklearnBaseline]) -> None:
    """Fits scikit-learn baselines, in the first process."""
    for row in rows:
        own.failures.update(on_first(functools.partial(fit_baseline, own, row)))


def fit_baseline(own: Sweep, row: SklearnBaseline) -> dict[str, str]:
    """Fits a scikit-learn baseline; returns the failures so far."""
    folder = own.folders[row.name]
    if not own.failures.add_dependent(row):
        if own.fresh:
            folder.archive()
        with own.failures.catch(folder, always=True):
            begin(folder)
            folder.add_history(0)
            source = None if row.features_from is None else own.folders[row.features_from.name]
            sklearn_baseline.fit(row, folder, source)
    return dict(own.failures)


def check_data(run: Run, warns: bool = True) -> DataShapes:
    """Checks the data of a run, with warnings unless it is finished; returns their shapes."""
    with explain_errors(f"run {run.name!r}", always=has_user_code(run.data)):
        loaded = load_run_data(run)
        for note in loaded.notes if warns else ():
            print(f"warning: {note}", file=sys.stderr)
        return DataShapes(shapes_of(loaded.train), shapes_of(loaded.splits))
