"""The trials of tuned rows that the results of earlier ones lead to."""

import argparse
import dataclasses
import functools
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.tuned import Tuned
from mtl_jax.core.validation import BadInput
from mtl_jax.report.tuning import ratings_of
from mtl_jax.runner.run_selection import select_runs
from mtl_jax.storage.processes import on_first
from mtl_jax.storage.run_directory import RunDirectory


class Request(NamedTuple):
    """What a launch is to train."""

    every_run: Experiment
    experiment: Experiment  # The requested runs.


def select(experiment: Experiment, options: argparse.Namespace) -> Request:
    """The runs of an experiment with command-line options, and those that `--only` requests.

    Raises:
      BadInput: as in `select_runs`.
    """
    every_run, requested = (
        select_runs(experiment, options.seeds, only, options.smoke) for only in (None, options.only)
    )
    return Request(every_run, requested)


def request(experiment: Experiment, options: argparse.Namespace, root: pathlib.Path) -> Request:
    """As `select`, with all trials that results in the folder lead to."""
    names = [row.name for row in experiment.tuned]
    return select(with_known_trials(experiment, options, root, names), options)


def first_trials(
    experiment: Experiment, options: argparse.Namespace, root: pathlib.Path
) -> Experiment:
    """The experiment with the trials that results lead to, with `--fresh` not in requested rows."""
    names = {row.name for row in experiment.tuned}
    if options.fresh:
        names -= {row.name for row in select(experiment, options).experiment.tuned}
    return with_known_trials(experiment, options, root, names)


def with_known_trials(
    experiment: Experiment, options: argparse.Namespace, root: pathlib.Path, names: Collection[str]
) -> Experiment:
    """The experiment with all trials of some rows that results lead to."""
    grown = with_next_trials(experiment, options, root, names)
    while len(grown.trials) > len(experiment.trials):
        experiment, grown = grown, with_next_trials(grown, options, root, names)
    return experiment


def with_next_trials(
    experiment: Experiment, options: argparse.Namespace, root: pathlib.Path, names: Collection[str]
) -> Experiment:
    """The experiment with the next trials of some rows, where all so far are done with."""
    if not any(row.search for row in experiment.tuned):
        return experiment
    runs = {run.name: run for run in select(experiment, options).every_run.runs}
    tuned = tuple(
        extended(row, runs, root) if row.name in names else row for row in experiment.tuned
    )
    return dataclasses.replace(experiment, tuned=tuned)


def extended(row: Tuned, runs: Mapping[str, Run], root: pathlib.Path) -> Tuned:
    """A row with its next trials, if all so far are finished or have failed.

    Args:
      row: the row.
      runs: the runs of its trials, by name, with command-line options.
      root: the folder of all results.
    """
    if row.search is None:
        return row
    folders = [RunDirectory(root, runs[trial.name]) for trial in row.trials]
    ratings = on_first(functools.partial(ratings_if_done, row, folders))
    if ratings is None:
        return row
    later = row.search.following(row.history(ratings))
    return row.replace(later=(*row.later, *later))


def ratings_if_done(row: Tuned, folders: Sequence[RunDirectory]) -> np.ndarray | None:
    """Ratings `[T]` of the trials of a row; None if one is not done with, or its files are damaged."""
    try:
        if all(each.is_finished() or each.failure() is not None for each in folders):
            return ratings_of(row, folders)
    except BadInput:  # It is told where the run is checked.
        pass
    return None
