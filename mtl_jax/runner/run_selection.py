"""Loads an experiment file and selects the runs requested on the command line."""

import ast
import dataclasses
import fnmatch
import itertools
import pathlib
from collections.abc import Iterable

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.replace import NoSuchField, positions
from mtl_jax.config.run import Run, dependency_order, map_dependencies
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.study_design import restrict_design
from mtl_jax.config.toy import ToyExperiment
from mtl_jax.core.validation import BadInput, require
from mtl_jax.runner.local_modules import run_file
from mtl_jax.runner.overrides import apply_overrides

SMOKE_STEPS = 6


def load_experiment(path: pathlib.Path) -> Experiment | ToyExperiment:
    """Runs an experiment file and returns its `EXPERIMENT`.

    Raises:
      BadInput: if there is no such file, it has no `EXPERIMENT`, or as in `run_file`.
    """
    if not path.is_file():
        raise BadInput(f"no experiment file {path}")
    experiment = getattr(run_file(path), "EXPERIMENT", None)
    if not isinstance(experiment, Experiment | ToyExperiment):
        raise BadInput(f"{path} must end in EXPERIMENT = Experiment(...), it has {experiment!r}")
    return experiment


def docstring(path: pathlib.Path) -> str:
    """The docstring of an experiment file, empty if it has none."""
    return ast.get_docstring(ast.parse(path.read_bytes())) or ""


def override(experiment: Experiment, changes: list[str], only: str | None) -> Experiment:
    """The experiment with `--set FIELD=VALUE`, of which trials of tuned rows are made then.

    Args:
      experiment: the experiment of the file.
      changes: `FIELD=VALUE` strings.
      only: pattern of run names, as in `filter_by_name`; of others, a searched field may be set.

    Raises:
      BadInput: if a change is invalid, or of a field that a tuned row searches.
    """
    if not changes:
        return experiment
    for row, change in itertools.product(experiment.tuned, changes):
        field = change.partition("=")[0]
        is_searched = any(overlap(row.run, field, own) for own in row.over)
        if is_searched and any(matches(run.name, only) for run in row.trials):
            rule = "is searched by the row, which --only can leave out"
            raise BadInput(f"--set {field}: {rule}, {row.name!r}")
    sources, count = feature_sources(experiment), len(experiment.runs)
    searched_runs = tuple(row.run for row in experiment.tuned)
    runs = apply_overrides((*experiment.runs, *searched_runs, *sources), changes)
    by_name = {run.name: run for run in runs[len(runs) - len(sources) :]}
    return dataclasses.replace(
        experiment,
        runs=runs[:count],
        tuned=tuple(
            row.replace(run=run) for row, run in zip(experiment.tuned, runs[count:], strict=False)
        ),
        sklearn_baselines=tuple(
            row.replace(features_from=row.features_from and by_name[row.features_from.name])
            for row in experiment.sklearn_baselines
        ),
    )


def overlap(run: Run, field: str, other: str) -> bool:
    """Whether a field of a run, inner ones after dots, is another one, or one has the other."""
    try:
        one, two = (positions(run, path.split(".")) for path in (field, other))
    except NoSuchField:
        return False
    return all(a == b for a, b in zip(one, two, strict=False))


def select_runs(
    experiment: Experiment, seeds: int | None, only: str | None, smoke: bool
) -> Experiment:
    """Applies the command-line options to an experiment, whose runs then are those of trials too.

    Args:
      experiment: the experiment, with overrides.
      seeds: number of seeds of every run, if given.
      only: pattern of run names, such as `fixmatch*`; without a wildcard, a part of the name.
      smoke: whether to shorten every run to a few steps.

    Raises:
      BadInput: if the number of seeds is wrong, or no run matches.
    """
    rows = (*experiment.runs, *experiment.trials)
    runs = (*rows, *feature_sources(experiment))
    if seeds is not None:
        require(seeds >= 1, "launch", "seeds", "must be at least 1", seeds)
        runs = tuple(with_seeds(run, seeds) for run in runs)
    if smoke:
        runs = tuple(smoke_version(run) for run in runs)
    by_name = {run.name: run for run in runs}
    runs = runs[: len(rows)]
    baselines = tuple(
        row.replace(
            num_seeds=seeds or (min(row.num_seeds, 2) if smoke else row.num_seeds),
            features_from=None if row.features_from is None else by_name[row.features_from.name],
        )
        for row in experiment.sklearn_baselines
    )
    return restrict_to(experiment, filter_by_name((*runs, *baselines), only))


def filter_by_name(runs: tuple, only: str | None) -> tuple:
    """The runs whose names match a pattern; all runs if it is None.

    Raises:
      BadInput: if no run matches.
    """
    found = tuple(run for run in runs if matches(run.name, only))
    if not found:
        names = ", ".join(run.name for run in runs)
        raise BadInput(f"--only {only} matches no run; there is {names}")
    return found


def matches(name: str, only: str | None) -> bool:
    """Whether a name matches a pattern; any does if it is None."""
    pattern = only if only is None or any(c in only for c in "*?[") else f"*{only}*"
    return pattern is None or fnmatch.fnmatch(name, pattern)


def restrict_to(experiment: Experiment, rows: Iterable[Run | SklearnBaseline]) -> Experiment:
    """The experiment restricted to some rows, with the settings that refer to them."""
    rows = tuple(rows)
    names = {row.name for row in rows}
    runs = tuple(row for row in rows if isinstance(row, Run))
    sklearn_baselines = tuple(row for row in rows if isinstance(row, SklearnBaseline))
    tuned = tuple(row for row in experiment.tuned if names & {run.name for run in row.trials})
    names_of_rows = names | {row.name for row in tuned}
    baselines = tuple(name for name in experiment.baselines if name in names_of_rows)
    published = tuple(number for number in experiment.published if number.run in names_of_rows)
    return dataclasses.replace(
        experiment,
        runs=runs,
        baselines=baselines,
        published=published,
        sklearn_baselines=sklearn_baselines,
        tuned=tuned,
        **restrict_design(experiment, names),
    )


def with_seeds(run: Run, seeds: int) -> Run:
    """Sets the number of seeds of a run and of its dependencies."""
    dependencies = map_dependencies(run, lambda other: with_seeds(other, seeds))
    return run.replace(num_seeds=seeds, **dependencies)


def smoke_version(run: Run) -> Run:
    """Shortens a run and its dependencies to a few steps and at most two seeds."""
    half = SMOKE_STEPS // 2
    return run.replace(
        steps=SMOKE_STEPS,
        evaluation={"every": half, "checkpoint_every": half},
        num_seeds=min(run.num_seeds, 2),
        **map_dependencies(run, smoke_version),
    )


def topological_order(experiment: Experiment) -> list[Run]:
    """Every run once, each after its dependencies."""
    by_name = {}
    for last in (*experiment.runs, *feature_sources(experiment)):
        for run in dependency_order(last):
            by_name.setdefault(run.name, run)
    return list(by_name.values())


def rows_of(experiment: Experiment) -> list[Run | SklearnBaseline]:
    """The rows of an experiment and the runs that they need, each after those that it needs."""
    return [*topological_order(experiment), *experiment.sklearn_baselines]


def feature_sources(experiment: Experiment) -> list[Run]:
    """The runs whose features scikit-learn baselines use."""
    sources = [row.features_from for row in experiment.sklearn_baselines]
    return [run for run in sources if run is not None]
