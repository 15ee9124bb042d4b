"""Reads an experiment file and makes the runs that the command line asks for."""

import dataclasses
import fnmatch
import pathlib
from collections.abc import Iterable

from mtl_jax.config.run import Experiment, Run, lineage, with_needed
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.config.study_design import remaining
from mtl_jax.config.toy import Descents
from mtl_jax.core.validation import BadInput, require
from mtl_jax.runner.local_modules import run_file
from mtl_jax.runner.overrides import edited

SMOKE_STEPS = 6


def read(path: pathlib.Path) -> Experiment | Descents:
    """Runs an experiment file and takes its `EXPERIMENT`.

    Raises:
      BadInput: if there is no such file, it has no `EXPERIMENT`, or as `run_file`.
    """
    if not path.is_file():
        raise BadInput(f"no experiment file {path}")
    experiment = getattr(run_file(path), "EXPERIMENT", None)
    if not isinstance(experiment, Experiment | Descents):
        raise BadInput(f"{path} must end in EXPERIMENT = Experiment(...), it has {experiment!r}")
    return experiment


def asked(
    experiment: Experiment, changes: list[str], seeds: int | None, only: str | None, smoke: bool
) -> Experiment:
    """The experiment as the command line changes it.

    Args:
      experiment: as the file has it.
      changes: `FIELD=VALUE` texts.
      seeds: number of seeds of every run, if given.
      only: pattern of run names, such as `fixmatch*`; without a star, a part of the name.
      smoke: whether every run is cut to a handful of steps.

    Raises:
      BadInput: if a change does not fit, or no run matches.
    """
    read = [row.features for row in experiment.classics if row.features is not None]
    runs = edited((*experiment.runs, *read), changes)
    if seeds is not None:
        require(seeds >= 1, "launch", "seeds", "must be at least 1", seeds)
        runs = tuple(with_seeds(run, seeds) for run in runs)
    if smoke:
        runs = tuple(cut(run) for run in runs)
    known = {run.name: run for run in runs}
    runs = runs[: len(experiment.runs)]
    classics = tuple(
        row.but(
            seeds=seeds or (min(row.seeds, 2) if smoke else row.seeds),
            features=None if row.features is None else known[row.features.name],
        )
        for row in experiment.classics
    )
    return among(experiment, named_like((*runs, *classics), only))


def named_like(runs: tuple, only: str | None) -> tuple:
    """The runs whose names match a pattern, or all.

    Raises:
      BadInput: if none does.
    """
    if only is None:
        return runs
    pattern = only if any(c in only for c in "*?[") else f"*{only}*"
    found = tuple(run for run in runs if fnmatch.fnmatch(run.name, pattern))
    if not found:
        names = ", ".join(run.name for run in runs)
        raise BadInput(f"--only {only} matches no run; there is {names}")
    return found


def among(experiment: Experiment, rows: Iterable[Run | Classic]) -> Experiment:
    """The experiment with these rows, and what there is to say of them."""
    rows = tuple(rows)
    there = {row.name for row in rows}
    runs = tuple(row for row in rows if isinstance(row, Run))
    classics = tuple(row for row in rows if isinstance(row, Classic))
    baselines = tuple(name for name in experiment.baselines if name in there)
    published = tuple(number for number in experiment.published if number.run in there)
    return dataclasses.replace(
        experiment,
        runs=runs,
        baselines=baselines,
        published=published,
        classics=classics,
        **remaining(experiment, there),
    )


def with_seeds(run: Run, seeds: int) -> Run:
    """The run, and those that it needs, with another number of seeds."""
    return run.but(seeds=seeds, **with_needed(run, lambda one: with_seeds(one, seeds)))


def cut(run: Run) -> Run:
    """The run and those that it needs for a handful of steps and two seeds, else as they are."""
    half = SMOKE_STEPS // 2
    return run.but(
        steps=SMOKE_STEPS,
        evaluate_every=half,
        checkpoint_every=half,
        seeds=min(run.seeds, 2),
        **with_needed(run, cut),
    )


def in_order(experiment: Experiment) -> list[Run]:
    """Every run once, each after the runs that it starts from."""
    ordered = {}
    read = [row.features for row in experiment.classics if row.features is not None]
    for row in (*experiment.runs, *read):
        for run in lineage(row):
            ordered.setdefault(run.name, run)
    return list(ordered.values())
