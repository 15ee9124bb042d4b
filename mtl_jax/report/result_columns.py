"""The columns of an experiment's table: text of every cell, and the number that it shows."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.metrics.comparison import Verdict, confidence_interval, mean_rank, verdicts
from mtl_jax.report.baselines import baselines, comparable, paired_deltas, paired_gain
from mtl_jax.report.columns import Column, columns_of, has, has_several_metrics, value_of
from mtl_jax.report.formatting import count_verdicts, format_mean, format_published
from mtl_jax.report.scores import RunScores, mean_of
from mtl_jax.report.summary import MEDIAN_OF


class Cell(NamedTuple):
    """A cell of a table."""

    text: str
    number: float = math.nan  # the mean that the text shows, NaN if there is none


NO_CELL = Cell("-")


class ResultColumn(NamedTuple):
    """A column of a table."""

    heading: str
    cells: list[Cell]  # by row
    higher_is_better: bool | None = None  # None if its values are not better or worse


def result_columns(
    experiment: Experiment, rows: Sequence[RunScores], shown: Mapping[str, Column]
) -> list[ResultColumn]:
    """The columns of the table, the first of which has the names of the rows.

    Args:
      experiment: the rows' experiment.
      rows: the scores of the finished rows.
      shown: the metrics of tasks that have a column, by heading.
    """
    published = {number.run for number in experiment.published}
    protocol = tests_every(experiment)
    columns = [ResultColumn("run", [Cell(row.run.name) for row in rows])]
    for heading, column in shown.items():
        cells = [interval(value_of(row, column)) for row in rows]
        columns.append(ResultColumn(heading, cells, column.metric.higher_is_better))
    columns += compared_columns(experiment, rows)
    columns.append(ResultColumn("selected at", [Cell(format_selected(row)) for row in rows]))
    means = {"last": [row.last for row in rows]}
    if protocol and any(map(has_median, rows)):
        means["median"] = [row.median if has_median(row) else {} for row in rows]
    if protocol:
        means["best on test"] = [row.best_on_test for row in rows]
    for heading, values in means.items():
        cells = [
            interval(mean_of(row.run.tasks, own)) for row, own in zip(rows, values, strict=True)
        ]
        columns.append(ResultColumn(heading, cells, average_direction(rows)))
    columns += cost_columns(rows)
    if published:
        texts = [Cell(format_published(experiment.published, row.run.name)) for row in rows]
        columns.append(ResultColumn("paper", texts))
    return columns


def compared_columns(experiment: Experiment, rows: Sequence[RunScores]) -> list[ResultColumn]:
    """The average over tasks, and how the rows compare with single-task rows and each other."""
    singles = baselines(experiment, rows)
    found = verdicts_by_task(rows, singles)
    deltas = [
        None if row.run.name in experiment.baselines else paired_deltas(row, singles)
        for row in rows
    ]
    averages = [
        interval(None if len(row.run.tasks) == 1 else mean_of(row.run.tasks, row.selected))
        for row in rows
    ]
    tallies = [
        NO_CELL if delta is None else Cell(count_verdicts([*found[row.run.name].values()]))
        for row, delta in zip(rows, deltas, strict=True)
    ]
    columns = [
        ResultColumn("average", averages, average_direction(rows)),
        ResultColumn("Δm %", [interval(None if d is None else d.delta_m) for d in deltas], False),
    ]
    if has_several_metrics(experiment):
        cells = [interval(None if d is None else d.delta_p) for d in deltas]
        columns.append(ResultColumn("Δp %", cells, True))
    return [
        *columns,
        ResultColumn("helped, hurt", tallies),
        ResultColumn("rank", ranks_of(experiment, rows), False),
    ]


def cost_columns(rows: Sequence[RunScores]) -> list[ResultColumn]:
    """Time, throughput, size and memory; of time and throughput what the results have."""
    compilation = ("compile seconds", [row.compile_seconds for row in rows])
    throughput = ("examples/s", [row.examples_per_second for row in rows])
    known = [
        ResultColumn(heading, [integer_cell(value) for value in values])
        for heading, values in (compilation, throughput)
        if not np.isnan(values).all()
    ]
    return [
        ResultColumn("seconds", [Cell(f"{row.seconds:.0f}", row.seconds) for row in rows]),
        *known,
        ResultColumn("parameters", [Cell(f"{row.parameters:,}", row.parameters) for row in rows]),
        ResultColumn("memory", [Cell(megabytes(row.memory), row.memory) for row in rows]),
    ]


def integer_cell(value: float) -> Cell:
    """A number without decimals; "-" if it is NaN."""
    return NO_CELL if math.isnan(value) else Cell(f"{value:,.0f}", value)


def interval(values: np.ndarray | None) -> Cell:
    """The mean and interval of values over seeds."""
    if values is None:
        return NO_CELL
    mean, half = confidence_interval(values)
    return Cell(format_mean(mean, half), mean)


def best_number(column: ResultColumn) -> float | None:
    """The best number of a column; None if it has no better or worse, or fewer than two."""
    numbers = [cell.number for cell in column.cells if not math.isnan(cell.number)]
    if column.higher_is_better is None or len(numbers) < 2:
        return None
    return max(numbers) if column.higher_is_better else min(numbers)


def average_direction(rows: Sequence[RunScores]) -> bool | None:
    """Whether higher averages over tasks are better; None if that is not the same for all tasks."""
    higher = {task.selection_metric.higher_is_better for row in rows for task in row.run.tasks}
    return higher.pop() if len(higher) == 1 else None


def tests_every(experiment: Experiment) -> bool:
    """Whether any run evaluates the test part at every evaluation, as some papers' protocols do."""
    return any(run.evaluation.test == "every" for run in experiment.runs)


def has_median(row: RunScores) -> bool:
    """Whether a row has a median over `MEDIAN_OF` evaluations that excludes earlier ones."""
    return row.median_of == MEDIAN_OF < row.evaluations


def format_selected(row: RunScores) -> str:
    """Formats the steps and parameters of the selected evaluations, over seeds and tasks."""
    steps = [step for by_seed in row.steps.values() for step in by_seed]
    if not steps:
        return "-"
    span = f"{min(steps)}" if min(steps) == max(steps) else f"{min(steps)} to {max(steps)}"
    distinct = {*map(tuple, row.kinds.values())}  # One, unless selection is per task.
    by_task = distinct if len(distinct) == 1 else row.kinds.values()
    kinds = [kind for by_seed in by_task for kind in by_seed]
    num_ema = kinds.count("ema")
    parameters = f"ema {num_ema} of {len(kinds)}" if 0 < num_ema < len(kinds) else kinds[0]
    return f"{span}, {parameters}"


def task_gains(
    rows: Sequence[RunScores], singles: Mapping[str, RunScores]
) -> dict[tuple[str, str], np.ndarray]:
    """Gains `[S]` over the single-task rows, which are left out, by row and task."""
    baselines = {row.run.name for row in singles.values()}
    return {
        (row.run.name, task.name): paired_gain(row, task, singles[task.name])
        for row in rows
        if row.run.name not in baselines
        for task in row.run.tasks
        if comparable(row, task.name, singles)
    }


def verdicts_by_task(
    rows: Sequence[RunScores], singles: Mapping[str, RunScores]
) -> dict[str, dict[str, Verdict]]:
    """Whether tasks were helped or hurt, by row, corrected for all comparisons of the table."""
    gains = task_gains(rows, singles)
    found: dict[str, dict[str, Verdict]] = {row.run.name: {} for row in rows}
    for (row, task), verdict in zip(gains, verdicts(list(gains.values())), strict=True):
        found[row][task] = verdict
    return found


def ranks_of(experiment: Experiment, rows: Sequence[RunScores]) -> list[Cell]:
    """Mean ranks of the rows that have all tasks and metrics, if at least two do."""
    columns = columns_of(experiment).values()
    complete = [row for row in rows if all(has(row, *column) for column in columns)]
    if len(complete) < 2:
        return [NO_CELL] * len(rows)
    found = [[row.by_metric["selected"][c.key].mean() for c in columns] for row in complete]
    higher = tuple(column.metric.higher_is_better for column in columns)
    means = map(float, mean_rank(np.array(found), higher))
    ranks = dict(zip((row.run.name for row in complete), means, strict=True))
    return [
        Cell(f"{ranks[row.run.name]:.1f}", ranks[row.run.name])
        if row.run.name in ranks
        else NO_CELL
        for row in rows
    ]


def megabytes(memory: float) -> str:
    """Formats bytes as megabytes."""
    return "-" if math.isnan(memory) else f"{memory / 1e6:.0f} MB"
