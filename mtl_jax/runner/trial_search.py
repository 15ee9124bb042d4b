"""The trials of tuned rows that the results of earlier ones lead to."""

import argparse
import dataclasses
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.tuned import Tuned
from mtl_jax.report.tuning import ratings_of
from mtl_jax.runner.run_selection import select_runs
from mtl_jax.storage.run_directory import RunDirectory


class Request(NamedTuple):
    """What a launch is to train."""

    every_run: Experiment
    experiment: Experiment  # The requested runs.


def request(experiment: Experiment, options: argparse.Namespace, root: pathlib.Path) -> Request:
    """The runs of an experiment with command-line options, and those that `--only` requests.

    Tuned rows have the trials that results in the folder lead to.

    Raises:
      BadInput: as in `select_runs`.
    """

    def select(only: str | None) -> Experiment:
        return select_runs(experiment, options.set, options.seeds, only, options.smoke)

    every_run, count = select(None), 0
    while count < len(every_run.runs):
        count, runs = len(every_run.runs), {run.name: run for run in every_run.runs}
        tuned = tuple(with_later_trials(row, runs, root) for row in experiment.tuned)
        experiment = dataclasses.replace(experiment, tuned=tuned)
        every_run = select(None)
    return Request(every_run, select(options.only))


def with_later_trials(row: Tuned, runs: Mapping[str, Run], root: pathlib.Path) -> Tuned:
    """A row with its next trials, if all so far are finished or have failed.

    Args:
      row: the row.
      runs: the runs of its trials, by name, with command-line options.
      root: the folder of all results.
    """
    if row.search is None:
        return row
    folders = [RunDirectory(root, runs[trial.name]) for trial in row.trials]
    if not all(each.is_finished() or each.failure() is not None for each in folders):
        return row
    later = row.search.following(
        row.settings, ratings_of(row, folders), row.over, row.sequence, row.seed
    )
    return row.replace(later=(*row.later, *later))
