"""The table of an experiment, as Markdown, CSV and LaTeX."""

import csv
import io
import math
import pathlib

import numpy as np

from mtl_jax.host.files import write_text
from mtl_jax.host.folder import Folder
from mtl_jax.host.scores import Scores, baselines, collect, paired_delta, tasks_of
from mtl_jax.metrics import interval
from mtl_jax.run import Experiment

NOTE = (
    "Test metrics: mean ± 95 % interval over seeds (Student's t), at the evaluation that the "
    "validation split chose among raw and averaged parameters; “last” is the raw parameters "
    "after the last step. Δm % is against the single-task rows, paired by seed; lower is better."
)


def write(experiment: Experiment, folders: dict[str, Folder], root: pathlib.Path) -> None:
    """Writes `table.md`, `table.csv` and `table.tex`."""
    rows = collect(experiment, folders)
    head, body = cells(experiment, rows)
    write_text(root / "table.md", markdown(head, body) + f"\n{NOTE}\n")
    write_text(root / "table.tex", latex(head, body))
    write_text(root / "table.csv", comma_separated(experiment, rows))


def cells(experiment: Experiment, rows: list[Scores]) -> tuple[list[str], list[list[str]]]:
    """The heading and the rows as people read them."""
    tasks = tasks_of(experiment)
    singles = baselines(experiment, rows)
    published = {name.run for name in experiment.published}
    head = ["run", *tasks, "average", "Δm %", "last", "seconds", "parameters"]
    head += ["paper"] if published else []
    body = []
    for row in rows:
        delta = None if row.run.name in experiment.baselines else paired_delta(row, singles)
        line = [row.run.name]
        line += [spread(row.selected.get(task)) for task in tasks]
        line += [spread(average(row, row.selected)), spread(delta)]
        line += [spread(average(row, row.last))]
        line += [f"{row.seconds:.0f}", f"{row.parameters:,}"]
        line += [papers(experiment, row.run.name)] if published else []
        body.append(line)
    return head, body


def average(row: Scores, by_task: dict[str, np.ndarray]) -> np.ndarray | None:
    """Average over several tasks, by seed; None if they are measured in different units."""
    alike = len({task.metric.name for task in row.run.tasks}) == 1
    return np.mean(list(by_task.values()), 0) if alike and len(by_task) > 1 else None


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
    out.writerow(["run", "task", "metric", "seed", "selected", "last", "last_ema", "parameters"])
    for row in rows:
        for task in row.run.tasks:
            for place in range(row.run.seeds):
                values = (row.selected, row.last, row.last_ema)
                numbers = [repr(float(by_task[task.name][place])) for by_task in values]
                seed = row.run.first_seed + place
                out.writerow(
                    [row.run.name, task.name, task.metric.name, seed, *numbers, row.parameters]
                )
    return text.getvalue()
