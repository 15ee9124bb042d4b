"""What an experiment found, in numbers: the best row of every metric beside its baseline."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.metrics.comparison import Verdict
from mtl_jax.report.baselines import baselines, comparable, paired_gain
from mtl_jax.report.columns import Column, columns_of, value_of
from mtl_jax.report.formatting import format_interval
from mtl_jax.report.result_columns import best_number, compared_columns, verdicts_by_task
from mtl_jax.report.scores import RunScores

OVERALL = ("average", "Δm %", "Δp %")


class Finding(NamedTuple):
    """The best row of a metric."""

    metric: str
    row: str
    value: str
    baseline: str  # of the task's single-task row
    gain: str  # over it, paired by seed, higher is better
    verdict: str


class Findings(NamedTuple):
    """The findings of an experiment."""

    best: list[Finding]
    helped: int  # comparisons with single-task rows
    hurt: int
    compared: int


def findings(experiment: Experiment, rows: Sequence[RunScores]) -> Findings:
    """The best row of each metric on test data, and how many tasks sharing helped and hurt."""
    singles = baselines(experiment, rows)
    found = verdicts_by_task(rows, singles)
    verdicts = [verdict for by_task in found.values() for verdict in by_task.values()]
    return Findings(
        best=[
            *(
                finding(rows, heading, column, singles, found)
                for heading, column in columns_of(experiment).items()
            ),
            *overall(experiment, rows),
        ],
        helped=verdicts.count("helped"),
        hurt=verdicts.count("hurt"),
        compared=len(verdicts),
    )


def overall(experiment: Experiment, rows: Sequence[RunScores]) -> list[Finding]:
    """The best rows over all tasks."""
    columns = [c for c in compared_columns(experiment, rows) if c.heading in OVERALL]
    found = []
    for column in columns:
        best = best_number(column)
        for row, cell in zip(rows, column.cells, strict=True):
            if cell.number == best:
                found.append(Finding(column.heading, row.run.name, cell.text, "-", "-", "-"))
    return found


def finding(
    rows: Sequence[RunScores],
    heading: str,
    column: Column,
    singles: Mapping[str, RunScores],
    verdicts: Mapping[str, Mapping[str, Verdict]],
) -> Finding:
    """The best row of a metric, given the single-task rows and all verdicts."""
    values = {row.run.name: value_of(row, column) for row in rows}
    means = {name: float(each.mean()) for name, each in values.items() if each is not None}
    sign = 1.0 if column.metric.higher_is_better else -1.0
    name = max(means, key=lambda row: -np.inf if np.isnan(means[row]) else sign * means[row])
    best = next(row for row in rows if row.run.name == name)
    task = column.task
    single = singles.get(task.name)
    baseline = None if single is None else value_of(single, column)
    gain, verdict = None, "-"
    if (
        single is not None
        and best is not single
        and column.metric == task.selection_metric
        and comparable(best, task.name, singles)
    ):
        gain = paired_gain(best, task, single)
        found = verdicts[name][task.name]
        verdict = "no significant difference" if found == "open" else found
    return Finding(
        heading, name, format_interval(values[name]), format_interval(baseline),
        format_interval(gain), verdict,
    )  # fmt: skip
