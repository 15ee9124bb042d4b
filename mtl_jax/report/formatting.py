"""Formatting of tables: intervals, verdicts, Markdown and LaTeX."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from mtl_jax.config.experiment import Published
from mtl_jax.config.task import Task
from mtl_jax.core.metric import MetricTraits
from mtl_jax.metrics.comparison import Verdict, confidence_interval


def format_interval(values: np.ndarray | None) -> str:
    """Formats the mean and interval over seeds, to the interval's first significant digit."""
    if values is None:
        return "-"
    return format_mean(*confidence_interval(values))


def format_mean(mean: float, half: float) -> str:
    """Formats a mean and the half-width of its interval, which is left out if it is NaN."""
    half = 0.0 if half < 1e-9 * abs(mean) else half  # Rounding errors of differences.
    digits = num_decimals(abs(mean) / 10 if np.isnan(half) else half)
    text = format_rounded(mean, digits)
    return text if np.isnan(half) else f"{text} ± {half:.{digits}f}"


def format_range(low: float, high: float) -> str:
    """Formats an interval by its ends."""
    digits = num_decimals((high - low) / 2 or max(abs(low), abs(high)) / 10)
    return f"[{format_rounded(low, digits)}, {format_rounded(high, digits)}]"


def format_p_value(p: float) -> str:
    """Formats a p-value to three decimals."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def format_rounded(value: float, digits: int) -> str:
    """Formats a number to some decimals, without a minus before a zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def num_decimals(resolution: float) -> int:
    """The decimals, at least one, that show the first significant digit of a resolution."""
    return max(1, -math.floor(math.log10(resolution))) if 0 < resolution < np.inf else 1


def format_published(published: Sequence[Published], run: str) -> str:
    """Formats the published numbers of a run, each source after all of its numbers."""
    by_source = itertools.groupby((n for n in published if n.run == run), lambda n: n.source)
    return ", ".join(
        f"{', '.join(f'{number.column} {number.value:g}' for number in numbers)} ({source})"
        for source, numbers in by_source
    )


def count_verdicts(found: Sequence[Verdict]) -> str:
    """Formats the number of tasks that were helped and hurt."""
    return f"{found.count('helped')}, {found.count('hurt')} of {len(found)}"


def heading(task: Task, metric: MetricTraits | None = None) -> str:
    """Column heading: the task, its metric and unit, and the direction of improvement.

    The metric is the first one by default.
    """
    metric = metric or task.selection_metric
    return f"{metric_of(task, metric)} {arrow(metric.higher_is_better)}"


def metric_of(task: Task, metric: MetricTraits | None = None) -> str:
    """A task's name with its metric, by default the first, and unit."""
    metric = metric or task.selection_metric
    return f"{task.name} {metric.name}{unit(metric.scale)}"


def arrow(higher_is_better: bool) -> str:
    """The direction of improvement, as an arrow."""
    return "↑" if higher_is_better else "↓"


def unit(scale: float) -> str:
    """What follows the name of a metric with this scale."""
    return " %" if scale == 100.0 else ""


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Formats a table in Markdown, with aligned columns."""
    rows = [[cell.replace("|", r"\|") for cell in row] for row in (head, *body)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def latex(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Formats a table in LaTeX, with booktabs."""

    def line(row: Sequence[str]) -> str:
        return " & ".join(map(escape_latex, row)) + r" \\"

    columns = "l" + "r" * (len(head) - 1)
    return "\n".join(
        [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", line(head), r"\midrule"]
        + [line(row) for row in body]
        + [r"\bottomrule", r"\end{tabular}", ""]
    )


def escape_latex(text: str) -> str:
    """Escapes a string for LaTeX."""
    for symbol, tex in (
        ("\\", r"\textbackslash "),
        *((char, f"\\{char}") for char in "_%&#${}"),
        ("~", r"\textasciitilde "),
        ("^", r"\textasciicircum "),
        ("Δm", r"$\Delta_m$"),
        ("±", r"$\pm$"),
        ("↑", r"$\uparrow$"),
        ("↓", r"$\downarrow$"),
    ):
        text = text.replace(symbol, tex)
    return text
