"""The table of an experiment, as Markdown, CSV and LaTeX."""

import csv
import io
import math
import pathlib

import numpy as np

from mtl_jax.compare import interval, mean_rank, verdict
from mtl_jax.host.files import write_text
from mtl_jax.host.folder import Folder
from mtl_jax.host.scores import (
    Scores,
    baselines,
    collect,
    comparable,
    paired_delta,
    paired_gain,
    tasks_of,
)
from mtl_jax.run import Experiment

NOTE = (
    "Test metrics: mean ± 95 % interval over seeds (Student's t), at the evaluation that the "
    "validation split chose among raw and averaged parameters; “last” is the raw parameters "
    "after the last step. Δm % is against the single-task rows, paired by seed; lower is better; "
    "tasks whose baseline is 0 in a seed do not count in it. "
    "“helped, hurt” counts the tasks whose paired gain has an interval wholly above or below 0; "
    "hurt is negative transfer. The rank is over the tasks and the rows that have them all (equal "
    "means share their places). Memory is what XLA says that a block of steps needs on one "
    "device, the data included."
)
PROTOCOL = (
    "“Median” is over the last 20 evaluations of the averaged parameters, as FixMatch reports it; "
    "“best on test” is chosen by test data, as several papers do, and stands here only to be "
    "compared with theirs. "
)
MOST = 6  # Of more tasks only the average stands in the table for people.


def write(experiment: Experiment, folders: dict[str, Folder], root: pathlib.Path) -> None:
    """Writes `table.md`, `table.csv` and `table.tex`."""
    rows = collect(experiment, folders)
    head, body = cells(experiment, rows)
    note = (PROTOCOL if learns_unlabelled(experiment) else "") + NOTE
    write_text(root / "table.md", markdown(head, body) + f"\n{note}\n")
    write_text(root / "table.tex", latex(head, body))
    write_text(root / "table.csv", comma_separated(experiment, rows))


def cells(experiment: Experiment, rows: list[Scores]) -> tuple[list[str], list[list[str]]]:
    """The heading and the rows as people read them."""
    shown = tasks_of(experiment)
    shown = shown if len(shown) <= MOST else {}
    singles = baselines(experiment, rows)
    ranks = ranks_of(experiment, rows)
    published = {name.run for name in experiment.published}
    protocol = learns_unlabelled(experiment)
    head = ["run", *shown, "average", "Δm %", "helped, hurt", "rank", "last"]
    head += ["median", "best on test"] if protocol else []
    head += ["seconds", "parameters", "memory"]
    head += ["paper"] if published else []
    body = []
    for row in rows:
        delta = None if row.run.name in experiment.baselines else paired_delta(row, singles)
        line = [row.run.name]
        line += [spread(row.selected.get(task)) for task in shown]
        line += [spread(average(row, row.selected) if len(row.run.tasks) > 1 else None)]
        line += [spread(delta)]
        line += [verdicts(row, singles) if delta is not None else "-", ranks.get(row.run.name, "-")]
        line += [spread(average(row, row.last))]
        line += [spread(average(row, by)) for by in (row.median, row.best_on_test) if protocol]
        line += [f"{row.seconds:.0f}", f"{row.parameters:,}", megabytes(row.memory)]
        line += [papers(experiment, row.run.name)] if published else []
        body.append(line)
    return head, body


def learns_unlabelled(experiment: Experiment) -> bool:
    """Whether any run has a consistency method, so that its papers' protocols matter."""
    return any(task.consistency is not None for run in experiment.runs for task in run.tasks)


def average(row: Scores, by_task: dict[str, np.ndarray]) -> np.ndarray | None:
    """Average over the tasks, by seed; None if they are measured in different units."""
    alike = len({task.metric.name for task in row.run.tasks}) == 1
    return np.mean(list(by_task.values()), 0) if alike else None


def verdicts(row: Scores, singles: dict[str, Scores]) -> str:
    """How many tasks of a row were helped and hurt, beyond the interval."""
    found = [
        verdict(paired_gain(row, task, singles[task.name]))
        for task in row.run.tasks
        if comparable(row, task.name, singles)
    ]
    return f"{found.count('helped')}, {found.count('hurt')} of {len(found)}"


def ranks_of(experiment: Experiment, rows: list[Scores]) -> dict[str, str]:
    """Mean rank of each row that has all tasks, if there are at least two such rows."""
    tasks = tasks_of(experiment)
    whole = [row for row in rows if row.selected.keys() == tasks.keys()]
    if len(whole) < 2:
        return {}
    values = [[row.selected[task].mean() for task in tasks] for row in whole]
    ranks = mean_rank(values, tuple(task.metric.higher_is_better for task in tasks.values()))
    return {row.run.name: f"{rank:.1f}" for row, rank in zip(whole, ranks, strict=True)}


def megabytes(memory: float) -> str:
    """Bytes as megabytes."""
    return "-" if math.isnan(memory) else f"{memory / 1e6:.0f} MB"


def papers(experiment: Experiment, run: str) -> str:
    """The published numbers of a run."""
    return ", ".join(
        f"{number.column} {number.value:g} ({number.source})"
        for number in experiment.published
        if number.run == run
    )


def spread(values: np.ndarray | None) -> str:
    """Mean and interval of values over seeds, to the interval's first digit that counts."""
    if values is None:
        return "-"
    mean, half = interval(values)
    least = abs(mean) / 10 if np.isnan(half) else half
    digits = max(1, -math.floor(math.log10(least))) if 0 < least < np.inf else 1
    text = f"{round(mean, digits) + 0.0:.{digits}f}"  # No minus before a zero.
    return text if np.isnan(half) else f"{text} ± {half:.{digits}f}"


def markdown(head: list[str], body: list[list[str]]) -> str:
    """A table in Markdown, its columns aligned."""
    rows = [[cell.replace("|", r"\|") for cell in row] for row in (head, *body)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def latex(head: list[str], body: list[list[str]]) -> str:
    """A table in LaTeX, with booktabs."""

    def line(row):
        return " & ".join(map(escaped, row)) + r" \\"

    columns = "l" + "r" * (len(head) - 1)
    return "\n".join(
        [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", line(head), r"\midrule"]
        + [line(row) for row in body]
        + [r"\bottomrule", r"\end{tabular}", ""]
    )


def escaped(text: str) -> str:
    """Text as LaTeX takes it."""
    for plain, tex in (
        ("\\", r"\textbackslash "),
        *((sign, f"\\{sign}") for sign in "_%&#${}"),
        ("~", r"\textasciitilde "),
        ("^", r"\textasciicircum "),
        ("Δm", r"$\Delta_m$"),
        ("±", r"$\pm$"),
    ):
        text = text.replace(plain, tex)
    return text


def comma_separated(experiment: Experiment, rows: list[Scores]) -> str:
    """One line a run, task and seed, with every digit, for other programs."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    kinds = ["selected", "last", "last_ema", "median", "best_on_test"]
    out.writerow(["run", "task", "metric", "seed", *kinds, "parameters"])
    for row in rows:
        for task in row.run.tasks:
            for place in range(row.run.seeds):
                values = [getattr(row, kind)[task.name][place] for kind in kinds]
                numbers = [repr(float(value)) for value in values]
                seed = row.run.first_seed + place
                out.writerow(
                    [row.run.name, task.name, task.metric.name, seed, *numbers, row.parameters]
                )
    return text.getvalue()
