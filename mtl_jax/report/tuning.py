"""The best trials of tuned rows on validation data, and what was searched."""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.tuned import Tuned
from mtl_jax.core.validation import few
from mtl_jax.report.selection import best, criterion, ratings, selecting_tasks
from mtl_jax.storage.files import write_text
from mtl_jax.storage.run_directory import RunDirectory


class Choice(NamedTuple):
    """A tuned row, its finished trials, and the best of those of all steps on validation data."""

    row: Tuned
    trials: list[Run]
    metrics: list[tuple[str, Any]]  # That choose: K tasks' names with their metric.
    values: np.ndarray  # [K, T], mean over seeds, higher is better.
    best: Run


def note(experiment: Experiment) -> str:
    """A sentence on the tuned rows below the table; "" without any."""
    budgets: dict[tuple, list[str]] = {}
    for row in experiment.tuned:
        how = "" if row.search is None else f", by {row.search}"
        if len({own.values for own in row.settings}) < row.size:
            how += f", which has not come to its {row.size} settings"
        budgets.setdefault((len(row.trials), tuple(row.over), how), []).append(row.name)
    return "".join(
        f" Tuned rows ({few(names, 3)}) are the best of {count} trials on validation data, over "
        f"{', '.join(fields)}{how}; tuning.csv has all trials."
        for (count, fields, how), names in budgets.items()
    )


def failed_rows(experiment: Experiment, failures: Iterable[str]) -> list[str]:
    """The rows among those that failed: trials of a row that has a finished one are none."""
    trials = {trial.name for row in experiment.tuned for trial in row.trials}
    return [name for name in failures if name not in trials]


def write(choices: Iterable[Choice], root: pathlib.Path) -> None:
    """Writes `tuning.csv`, if there are tuned rows.

    It has a line for each trial, searched field and metric that chooses; the value of the metric
    is not finite for a trial that diverged.
    """
    choices = list(choices)
    if not choices:
        return
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["row", "trial", "steps", "field", "value", "metric", "validation", "chosen"])
    for choice in choices:
        out.writerows(lines_of(choice))
    write_text(root / "tuning.csv", text.getvalue())


def lines_of(choice: Choice) -> Iterator[list[Any]]:
    """The lines of a row's trials."""
    settings = {t.name: v for t, v in zip(choice.row.trials, choice.row.settings, strict=True)}
    for index, trial in enumerate(choice.trials):
        chosen = int(trial.name == choice.best.name)
        for field, value in zip(choice.row.over, settings[trial.name].values, strict=True):
            for (task, metric), values in zip(choice.metrics, choice.values, strict=True):
                sign = 1.0 if metric.higher_is_better else -1.0
                found = [f"{task}/{metric.name}", repr(sign * float(values[index]))]
                own = [choice.row.name, trial.name, trial.steps, field, repr(value)]
                yield [*own, *found, chosen]


def choose(
    experiment: Experiment, folders: Mapping[str, RunDirectory], failed: Collection[str]
) -> tuple[Experiment | None, list[Choice]]:
    """Replaces the trials of an experiment by the best of each tuned row.

    A row with trials that are not finished, and did not fail, is left out.

    Args:
      experiment: the finished rows, trials among them.
      folders: their folders, by name.
      failed: names of runs that failed.

    Returns:
      The experiment without the other trials, None if it has no row then, and the choices.
    """
    runs = {run.name: run for run in experiment.runs}
    choices = []
    for row in experiment.tuned:
        names = [trial.name for trial in row.trials]
        trials = [runs[name] for name in names if name in runs]
        finalists = [trial.name for trial in row.finalists if trial.name in runs]
        if finalists and all(name in runs or name in failed for name in names):
            choices.append(choice_of(row, trials, finalists, folders))
    hidden = {trial.name for row in experiment.tuned for trial in row.trials}
    names = {choice.row.name: choice.best.name for choice in choices}
    kept = [run for run in experiment.runs if run.name not in hidden - {*names.values()}]
    if not (kept or experiment.sklearn_baselines):
        return None, choices
    left_out = {row.name for row in experiment.tuned} - {*names}
    return dataclasses.replace(
        experiment,
        runs=tuple(kept),
        tuned=tuple(choice.row for choice in choices),
        baselines=tuple(names.get(n, n) for n in experiment.baselines if n not in left_out),
        published=tuple(
            dataclasses.replace(number, run=names.get(number.run, number.run))
            for number in experiment.published
            if number.run not in left_out
        ),
    ), choices


def choice_of(
    row: Tuned, trials: list[Run], finalists: list[str], folders: Mapping[str, RunDirectory]
) -> Choice:
    """The best of the finalists by the mean over seeds of what selects its evaluations."""
    tasks, values, by_rank = values_of(row, [folders[run.name] for run in trials])
    places = [place for place, run in enumerate(trials) if run.name in finalists]
    index = best(values[:, places], by_rank)
    return Choice(row, trials, tasks, values, trials[places[index or 0]])


def ratings_of(row: Tuned, folders: Sequence[RunDirectory]) -> np.ndarray:
    """Ratings `[T]` of trials, higher is better; of those without a result minus infinity."""
    _, values, by_rank = values_of(row, folders)
    found = ratings(values, by_rank)
    return np.where(np.isfinite(values).all(0), found, -np.inf)


def values_of(
    row: Tuned, folders: Sequence[RunDirectory]
) -> tuple[list[tuple[str, Any]], np.ndarray, bool]:
    """The metrics that choose, their values `[K, T]`, and whether these are ranked."""
    tasks = [(task.name, task.selection_metric) for task in selecting_tasks(row.run)]
    if row.metric is not None:
        every = {f"{t.name}/{m.name}": (t.name, m) for t in row.run.tasks for m in t.metrics}
        tasks = [every[row.metric]]
    values = np.array([[score(folder, *task) for folder in folders] for task in tasks])
    return tasks, values, len(tasks) > 1 and criterion(row.run) != "mean metric"


def score(folder: RunDirectory, task: str, metric: Any) -> float:
    """Mean over seeds of a validation metric, signed so that higher is better.

    Minus infinity if it is not finite, or the run has no result.
    """
    result = folder.result()
    if result is None:
        return -np.inf
    value = np.mean([entry["validation"][task][metric.name] for entry in result["selected"]])
    signed = value if metric.higher_is_better else -value
    return float(signed) if np.isfinite(signed) else -np.inf
