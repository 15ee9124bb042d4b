"""Result table of an experiment, as Markdown, CSV and LaTeX."""

import csv
import io
import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.core.validation import few
from mtl_jax.metrics.comparison import mean_rank, verdicts
from mtl_jax.report import effects, provenance, transfer_gap, transferability
from mtl_jax.report.baselines import baselines, comparable, paired_deltas, paired_gain
from mtl_jax.report.columns import columns_of, has, has_several_metrics, shown_tasks, value_of
from mtl_jax.report.formatting import (
    count_verdicts,
    format_interval,
    format_published,
    latex,
    markdown,
)
from mtl_jax.report.scores import RunScores, collect, mean_of
from mtl_jax.report.summary import MEDIAN_OF
from mtl_jax.storage.files import write_text
from mtl_jax.storage.run_directory import RunDirectory

NOTE = (
    "Test metrics: mean ± 95 % interval over seeds (Student's t); ↑ higher, ↓ lower is better. "
    "“Selected at” is the evaluation that validation selected in each seed, and whether of the raw "
    "or the averaged (ema) parameters; “last” is the raw parameters after the last step. Δm % is "
    "against the single-task rows, paired by seed; lower is better; tasks whose baseline is 0 in a "
    "seed do not count in it. “Helped, hurt” counts the tasks whose gain over the single-task row, "
    "paired by seed, differs from 0 at 5 % after Holm's correction{comparisons}; hurt is negative "
    "transfer. The rank is over the tasks and the rows that have them all with the same metrics "
    "(equal means share their places). Memory is what XLA says that a block of steps needs on one "
    "device, the data included."
)
BEST = (
    "“Best on test” is chosen by test data, as several papers do, and stands here only to be "
    "compared with theirs. "
)
MEDIAN = (
    "“Median” is over the last {count} evaluations of the averaged parameters, as FixMatch reports "
    "it; rows of {count} evaluations or fewer have none, it would cover their whole training. "
)
PER_TASK = (
    "The first metric of a task selects, and is the one of “average”, “helped, hurt” and “last”; Δm % "
    "is over all metrics (Navon et al., 2022), Δp % over each task's and then over tasks, where "
    "higher is better (Lin et al., 2021). "
)
SAFE = (
    " Rows put together of finished runs ({names}) take, for each task and seed, of a transfer and "
    "of scratch what validation prefers, of equals scratch; they cost what all their runs cost."
)


def write(
    experiment: Experiment,
    folders: Mapping[str, RunDirectory],
    root: pathlib.Path,
    failures: Mapping[str, str] | None = None,
) -> None:
    """Writes `table.md`, `table.csv`, `table.tex`, and `effects.csv` if there is a design.

    Args:
      experiment: the finished rows.
      folders: their folders, by name.
      root: the folder of the table.
      failures: the rows that failed, and why; they come last.
    """
    rows, failures = collect(experiment, folders), failures or {}
    head, body = cells(experiment, rows)
    body += [[name, "failed", *["-"] * (len(head) - 2)] for name in failures]
    note = note_of(experiment, rows)
    note += provenance.provenance_note(
        folders[row.name] for row in (*experiment.runs, *experiment.sklearn_baselines)
    )
    sections = transfer_gap.section(experiment, rows) + effects.section(experiment, rows)
    sections += transferability.section(experiment, folders)
    write_text(
        root / "table.md",
        markdown(head, body) + f"\n{note}\n{selection_note(rows, failures)}{sections}",
    )
    write_text(root / "table.tex", latex(head, body))
    write_text(root / "table.csv", comma_separated(experiment, rows))
    effects.write(experiment, rows, root / "effects.csv")


def cells(experiment: Experiment, rows: Sequence[RunScores]) -> tuple[list[str], list[list[str]]]:
    """Formatted header and rows of the table."""
    shown = shown_tasks(columns_of(experiment))
    singles = baselines(experiment, rows)
    ranks, tallies = ranks_of(experiment, rows), count_helped(rows, singles)
    published = {number.run for number in experiment.published}
    protocol = learns_unlabelled(experiment)
    medians = protocol and any(has_median(row) for row in rows)
    by_task = ["Δp %"] * has_several_metrics(experiment)
    head = [
        "run",
        *shown,
        "average",
        "Δm %",
        *by_task,
        "helped, hurt",
        "rank",
        "selected at",
        "last",
    ]
    head += ["median"] * medians + ["best on test"] * protocol
    head += ["seconds", "parameters", "memory"] + ["paper"] * bool(published)
    body = []
    for row in rows:
        name, single = row.run.name, len(row.run.tasks) == 1
        deltas = None if name in experiment.baselines else paired_deltas(row, singles)
        line = [name, *(format_interval(value_of(row, column)) for column in shown.values())]
        line += [format_interval(None if single else mean_of(row.run.tasks, row.selected))]
        line += [format_interval(delta) for delta in (deltas or (None, None))[: 1 + len(by_task)]]
        line += ["-" if deltas is None else tallies[name], ranks.get(name, "-")]
        line += [format_selected(row), format_interval(mean_of(row.run.tasks, row.last))]
        median = mean_of(row.run.tasks, row.median) if has_median(row) else None
        line += [format_interval(median)] * medians
        line += [format_interval(mean_of(row.run.tasks, row.best_on_test))] * protocol
        line += [f"{row.seconds:.0f}", f"{row.parameters:,}", megabytes(row.memory)]
        line += [format_published(experiment.published, name)] if published else []
        body.append(line)
    return head, body


def note_of(experiment: Experiment, rows: Sequence[RunScores]) -> str:
    """Notes below the table that apply to all rows."""
    protocol = learns_unlabelled(experiment)
    shown = [row for row in rows if has_median(row)] if protocol else []
    note = MEDIAN.format(count=MEDIAN_OF) if shown else ""
    note += BEST if protocol else ""
    count = sum(map(len, task_gains(rows, baselines(experiment, rows)).values()))
    note += PER_TASK if has_several_metrics(experiment) else ""
    note += NOTE.format(comparisons=f" for the {count} comparisons of this table" * bool(count))
    if experiment.safe_transfer:
        note += SAFE.format(names=", ".join(safe.name for safe in experiment.safe_transfer))
    return note


def selection_note(rows: Sequence[RunScores], failures: Mapping[str, str]) -> str:
    """Notes below the table on individual rows: label counts, warnings and failures."""
    kinds: dict[tuple[int, ...], list[str]] = {}
    for row in rows:
        for counts in {tuple(counts) for counts in row.labels.values()}:
            kinds.setdefault(counts, []).append(row.run.name)
    lines = []
    for (train, validation, test), names in kinds.items():
        more = validation > train and any(
            row.steps for row in rows if row.run.name in names
        )  # Without selection, validation labels are not used.
        hint = "; validation, which selects, has more labels than training" if more else ""
        whose = f" ({few(names, 3)})" if len(kinds) > 1 else ""
        lines.append(
            f"labels of a task in training, validation and test: {train}, {validation}, {test}"
            f"{hint}{whose}"
        )
    lines += [f"{row.run.name}: {text}" for row in rows for text in row.warnings]
    lines += [f"{name} failed: {reason}" for name, reason in failures.items()]
    return "".join(f"\n- {line}" for line in lines) + "\n" * bool(lines)


def learns_unlabelled(experiment: Experiment) -> bool:
    """Whether any task has an auxiliary loss, whose papers' protocols then apply."""
    return any(task.auxiliary is not None for run in experiment.runs for task in run.tasks)


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
) -> dict[str, list[np.ndarray]]:
    """Gains `[S]` of each row's tasks over the single-task rows, which are excluded."""
    baselines = {row.run.name for row in singles.values()}
    return {
        row.run.name: [
            paired_gain(row, task, singles[task.name])
            for task in row.run.tasks
            if comparable(row, task.name, singles)
        ]
        for row in rows
        if row.run.name not in baselines
    }


def count_helped(rows: Sequence[RunScores], singles: Mapping[str, RunScores]) -> dict[str, str]:
    """Number of tasks helped and hurt by row, corrected for all comparisons of the table."""
    gains = task_gains(rows, singles)
    found = iter(verdicts([gain for by_task in gains.values() for gain in by_task]))
    return {name: count_verdicts([next(found) for _ in by_task]) for name, by_task in gains.items()}


def ranks_of(experiment: Experiment, rows: Sequence[RunScores]) -> dict[str, str]:
    """Mean ranks of the rows that have all tasks and metrics; empty if fewer than two do."""
    columns = columns_of(experiment).values()
    complete = [row for row in rows if all(has(row, *column) for column in columns)]
    if len(complete) < 2:
        return {}
    found = [[row.by_metric["selected"][c.key].mean() for c in columns] for row in complete]
    higher = tuple(column.metric.higher_is_better for column in columns)
    ranks = mean_rank(np.array(found), higher)
    return {row.run.name: f"{rank:.1f}" for row, rank in zip(complete, ranks, strict=True)}


def megabytes(memory: float) -> str:
    """Formats bytes as megabytes."""
    return "-" if math.isnan(memory) else f"{memory / 1e6:.0f} MB"


def comma_separated(experiment: Experiment, rows: Sequence[RunScores]) -> str:
    """CSV with a line per run, task, metric and seed, in full precision.

    Missing values are empty.
    """
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    kinds = ["validation", "selected", "last", "last_ema", "median", "best_on_test"]
    head = ["run", "task", "metric", "seed", "step", "selected_parameters", *kinds]
    out.writerow([*head, "median_of", "parameters"])
    for row in rows:
        pairs = [(task.name, metric.name) for task in row.run.tasks for metric in task.metrics]
        for task, metric in pairs:
            for seed in range(row.run.num_seeds):
                values = [row.by_metric[kind].get((task, metric)) for kind in kinds]
                numbers = ["" if v is None else repr(float(v[seed])) for v in values]
                line = [row.run.name, task, metric, row.run.first_seed + seed]
                line += [v[task][seed] if v else "" for v in (row.steps, row.kinds)]
                out.writerow([*line, *numbers, row.median_of or "", row.parameters])
    return text.getvalue()
