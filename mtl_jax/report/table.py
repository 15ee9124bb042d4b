"""Result table of an experiment, as Markdown, CSV and LaTeX."""

import csv
import io
import pathlib
from collections.abc import Mapping, Sequence

from mtl_jax.config.experiment import Experiment
from mtl_jax.core.validation import few
from mtl_jax.report import effects, provenance, transfer_gap, transferability, tuning
from mtl_jax.report.baselines import baselines
from mtl_jax.report.columns import columns_of, has_several_metrics, shown_tasks
from mtl_jax.report.formatting import latex, markdown
from mtl_jax.report.result_columns import (
    has_median,
    result_columns,
    task_gains,
    tests_every,
)
from mtl_jax.report.scores import RunScores, collect
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
    "(equal means share their places). Seconds are without the compilation of a block of steps; "
    "memory is what XLA says that it needs on one device, the data included. Of both, runs that "
    "train as one program have equal shares."
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
      failures: the rows that failed, and why; they come last. Trials of rows that have another,
        finished one are named below the table only.
    """
    rows, failures = collect(experiment, folders), failures or {}
    columns = result_columns(experiment, rows, shown_tasks(columns_of(experiment)))
    head = [column.heading for column in columns]
    body = [[column.cells[index].text for column in columns] for index in range(len(rows))]
    failed = tuning.failed_rows(experiment, failures)
    body += [[name, "failed", *["-"] * (len(head) - 2)] for name in failed]
    write_text(
        root / "table.md",
        f"{markdown(head, body)}\n{notes(experiment, rows, folders, failures)}"
        f"{sections(experiment, rows, folders)}",
    )
    write_text(root / "table.tex", latex(head, body))
    write_text(root / "table.csv", comma_separated(experiment, rows))
    effects.write(experiment, rows, root / "effects.csv")


def notes(
    experiment: Experiment,
    rows: Sequence[RunScores],
    folders: Mapping[str, RunDirectory],
    failures: Mapping[str, str],
) -> str:
    """Notes below the table, in Markdown."""
    own = [folders[row.name] for row in (*experiment.runs, *experiment.sklearn_baselines)]
    environments = provenance.devices_note(own) + provenance.provenance_note(own)
    return f"{note_of(experiment, rows)}{environments}\n{selection_note(rows, failures)}"


def sections(
    experiment: Experiment, rows: Sequence[RunScores], folders: Mapping[str, RunDirectory]
) -> str:
    """Sections on transfer, effects and transferability below the notes, in Markdown."""
    about_rows = transfer_gap.section(experiment, rows) + effects.section(experiment, rows)
    return about_rows + transferability.section(experiment, folders)


def note_of(experiment: Experiment, rows: Sequence[RunScores]) -> str:
    """Notes below the table that apply to all rows."""
    protocol = tests_every(experiment)
    shown = [row for row in rows if has_median(row)] if protocol else []
    note = MEDIAN.format(count=MEDIAN_OF) if shown else ""
    note += BEST if protocol else ""
    count = len(task_gains(rows, baselines(experiment, rows)))
    note += PER_TASK if has_several_metrics(experiment) else ""
    note += NOTE.format(comparisons=f" for the {count} comparisons of this table" * bool(count))
    if experiment.safe_transfer:
        note += SAFE.format(names=", ".join(safe.name for safe in experiment.safe_transfer))
    return note + tuning.note(experiment)


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
