"""The table of a page: text of every cell, its order, and what stands out in it."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mtl_jax.config.experiment import Experiment, Published
from mtl_jax.report import tuning
from mtl_jax.report.baselines import baselines
from mtl_jax.report.columns import Column, columns_of, shown_tasks
from mtl_jax.report.formatting import format_rounded
from mtl_jax.report.result_columns import (
    NO_CELL,
    Cell,
    ResultColumn,
    best_number,
    result_columns,
    verdicts_by_task,
)
from mtl_jax.report.scores import RunScores

HIDDEN = ("last", "median", "best on test", "parameters", "memory", "paper")


class PageCell(NamedTuple):
    """A cell of the page's table."""

    text: str
    order: float | str  # what the column is sorted by
    best: bool = False  # whether it is the best of its column
    verdict: str = ""  # "helped" or "hurt", against the single-task row
    paper: str = ""  # the published number, and how far ours is from it


class PageTable(NamedTuple):
    """The page's table."""

    head: list[str]
    body: list[list[PageCell]]
    hidden: list[int]  # columns that are not shown at first


def text_table(head: list[str], body: list[list[str]]) -> PageTable:
    """A table of texts, by which it is sorted."""
    return PageTable(head, [[PageCell(text, text) for text in line] for line in body], [])


def results(
    experiment: Experiment, rows: Sequence[RunScores], failures: Mapping[str, str]
) -> PageTable:
    """The table with the metrics of all tasks.

    Hidden at first are details, the metrics of too many tasks, and columns without a number.
    """
    metrics = columns_of(experiment)
    columns = result_columns(experiment, rows, metrics)
    found = verdicts_by_task(rows, baselines(experiment, rows))
    by_column = [
        page_column(experiment, rows, column, metrics.get(column.heading), found)
        for column in columns
    ]
    body = [list(line) for line in zip(*by_column, strict=True)]
    rest = [PageCell("-", "")] * (len(columns) - 2)
    failed = tuning.failed_rows(experiment, failures)
    body += [[PageCell(name, name), PageCell("failed", ""), *rest] for name in failed]
    hidden = {*HIDDEN} | (metrics.keys() - shown_tasks(metrics).keys())
    hidden |= {
        each.heading for each in columns if all(cell.text == NO_CELL.text for cell in each.cells)
    }
    head = [column.heading for column in columns]
    return PageTable(head, body, [i for i, name in enumerate(head) if name in hidden])


def page_column(
    experiment: Experiment,
    rows: Sequence[RunScores],
    column: ResultColumn,
    metric: Column | None,
    found: Mapping[str, Mapping[str, str]],
) -> list[PageCell]:
    """The cells of a column; a metric's have verdicts and published numbers beside them."""
    first = metric is not None and metric.metric == metric.task.selection_metric
    best = best_number(column)
    cells = []
    for row, cell in zip(rows, column.cells, strict=True):
        name = row.run.name
        verdict = found[name].get(metric.task.name, "open") if metric and first else "open"
        cells.append(
            PageCell(
                text=cell.text,
                order=cell.text if math.isnan(cell.number) else cell.number,
                best=cell.number == best,
                verdict="" if verdict == "open" else verdict,
                paper=beside_paper(cell, published_of(experiment, name, column, metric)),
            )
        )
    return cells


def published_of(
    experiment: Experiment, row: str, column: ResultColumn, metric: Column | None
) -> list[Published]:
    """The published numbers of a cell: of its column's heading, or its task and metric."""
    names = {column.heading}
    if metric is not None:
        names.add(f"{metric.task.name} {metric.metric.name}")
        if metric.metric == metric.task.selection_metric:
            names.add(metric.task.name)
    return [each for each in experiment.published if each.run == row and each.column in names]


def beside_paper(cell: Cell, published: Sequence[Published]) -> str:
    """Published numbers, and ours less each."""
    return "; ".join(
        f"{each.value:g} ({each.source}), ours {format_signed(cell.number - each.value)}"
        for each in published
        if not math.isnan(cell.number)
    )


def format_signed(difference: float) -> str:
    """Formats a difference with its sign, to three significant digits."""
    digits = max(0, 2 - math.floor(math.log10(abs(difference)))) if difference else 1
    text = format_rounded(difference, min(digits, 6))
    return text if text.startswith("-") else f"+{text}"
