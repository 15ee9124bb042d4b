"""The table of an experiment, as Markdown, CSV and LaTeX."""

import csv
import io
import math
import pathlib

from mtl_jax.compare import mean_rank
from mtl_jax.host import effects, gaps, origins, promised
from mtl_jax.host.files import write_text
from mtl_jax.host.folder import Folder
from mtl_jax.host.scores import (
    Scores,
    baselines,
    collect,
    comparable,
    mean_of,
    paired_delta,
    paired_gain,
    shown_tasks,
    tasks_of,
)
from mtl_jax.host.text import latex, markdown, spread, tally
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
SAFE = (
    " Rows put together of finished runs ({names}) take, for each task and seed, of a transfer and "
    "of scratch what validation prefers, of equals scratch; they cost what all their runs cost."
)


def write(experiment: Experiment, folders: dict[str, Folder], root: pathlib.Path) -> None:
    """Writes `table.md`, `table.csv`, `table.tex`, and `effects.csv` if there is a design."""
    rows = collect(experiment, folders)
    head, body = cells(experiment, rows)
    note = (PROTOCOL if learns_unlabelled(experiment) else "") + NOTE
    if experiment.safe:
        note += SAFE.format(names=", ".join(safe.name for safe in experiment.safe))
    note += origins.note(folders[row.name] for row in (*experiment.runs, *experiment.classics))
    sections = gaps.section(experiment, rows) + effects.section(experiment, rows)
    sections += promised.section(experiment, folders)
    write_text(root / "table.md", markdown(head, body) + f"\n{note}\n{sections}")
    write_text(root / "table.tex", latex(head, body))
    write_text(root / "table.csv", comma_separated(experiment, rows))
    effects.write(experiment, rows, root / "effects.csv")


def cells(experiment: Experiment, rows: list[Scores]) -> tuple[list[str], list[list[str]]]:
    """The heading and the rows as people read them."""
    shown = shown_tasks(tasks_of(experiment))
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
        line += [spread(mean_of(row.run.tasks, row.selected) if len(row.run.tasks) > 1 else None)]
        line += [spread(delta)]
        line += [verdicts(row, singles) if delta is not None else "-", ranks.get(row.run.name, "-")]
        line += [spread(mean_of(row.run.tasks, row.last))]
        also = (row.median, row.best_on_test) if protocol else ()
        line += [spread(mean_of(row.run.tasks, by)) for by in also]
        line += [f"{row.seconds:.0f}", f"{row.parameters:,}", megabytes(row.memory)]
        line += [papers(experiment, row.run.name)] if published else []
        body.append(line)
    return head, body


def learns_unlabelled(experiment: Experiment) -> bool:
    """Whether any run has a consistency method, so that its papers' protocols matter."""
    return any(task.consistency is not None for run in experiment.runs for task in run.tasks)


def verdicts(row: Scores, singles: dict[str, Scores]) -> str:
    """How many tasks of a row were helped and hurt, beyond the interval."""
    return tally(
        [
            paired_gain(row, task, singles[task.name])
            for task in row.run.tasks
            if comparable(row, task.name, singles)
        ]
    )


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


def comma_separated(experiment: Experiment, rows: list[Scores]) -> str:
    """One line a run, task and seed, with every digit, for other programs."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    kinds = ["selected", "last", "last_ema", "median", "best_on_test"]
    out.writerow(["run", "task", "metric", "seed", *kinds, "parameters"])
    for row in rows:
        for task in row.run.tasks:
            for place in range(row.run.seeds):
                found = [getattr(row, kind).get(task.name) for kind in kinds]
                numbers = ["" if each is None else repr(float(each[place])) for each in found]
                seed = row.run.first_seed + place
                out.writerow(
                    [row.run.name, task.name, task.metric.name, seed, *numbers, row.parameters]
                )
    return text.getvalue()
