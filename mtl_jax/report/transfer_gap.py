"""Report section on transfer: gaps against training from scratch, and forgetting."""

from collections.abc import Mapping, Sequence

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run, sources_of
from mtl_jax.metrics.comparison import Verdict, verdicts
from mtl_jax.report.baselines import paired_gain
from mtl_jax.report.columns import has, shown_tasks, tasks_of
from mtl_jax.report.formatting import count_verdicts, format_interval, markdown, metric_of
from mtl_jax.report.scores import RunScores, mean_of

NOTE = (
    "The gap is the error of the run less that of the run from scratch, paired by seed, with a 95 "
    "% interval: above 0 is negative transfer (Wang et al., 2019, arXiv 1811.09751). Where a run "
    "stands against its start, the run that it began from, the gap is what it lost since: on a "
    "task of the source, what it forgot. “Helped, hurt” "
    "counts the tasks whose gap differs from 0 at 5 % after Holm's correction for the {count} "
    "comparisons of this section. A transfer is safe if every task is shown to be helped, not safe "
    "if one is shown to be hurt; else neither is shown. One seed has no interval."
)


def section(experiment: Experiment, rows: Sequence[RunScores]) -> str:
    """The section of `table.md` on transfer; empty if the experiment has no scratch pairs."""
    if not experiment.scratch_pairs:
        return ""
    by_name = {row.run.name: row for row in rows}
    shown = shown_tasks(tasks_of(experiment))
    head = [
        "run",
        "against",
        "gap",
        *map(metric_of, shown.values()),
        "average",
        "helped, hurt",
        "safe",
    ]
    pairs = [[by_name[name] for name in pair] for pair in experiment.scratch_pairs]
    gains = [task_gains(*pair) for pair in pairs]
    found = iter(verdicts([gain for by_task in gains for gain in by_task.values()]))
    body = [
        line(pair, by_task, [next(found) for _ in by_task], list(shown))
        for pair, by_task in zip(pairs, gains, strict=True)
    ]
    note = NOTE.format(count=sum(map(len, gains)))
    return f"\n## Transfer against scratch\n\n{markdown(head, body)}\n{note}\n"


def task_gains(row: RunScores, *others: RunScores) -> dict[str, np.ndarray]:
    """Gains `[S]` of a run over the runs it is compared with, for tasks with equal metrics."""
    return {
        task.name: paired_gain(row, task, other)
        for other in others
        for task in row.run.tasks
        if has(other, task)
    }


def line(
    rows: Sequence[RunScores],
    gains: Mapping[str, np.ndarray],
    found: Sequence[Verdict],
    shown: Sequence[str],
) -> list[str]:
    """Formats the table row of a run and the runs it is compared with."""
    row, *others = rows
    tasks = {task.name: task for task in row.run.tasks}
    average = mean_of([tasks[name] for name in gains], gains) if len(gains) > 1 else None
    cells = [
        row.run.name,
        ", ".join(other.run.name for other in others),
        reference_kind(row, others),
    ]
    cells += [format_interval(None if name not in gains else -gains[name]) for name in shown]
    cells += [format_interval(None if average is None else -average), count_verdicts(found)]
    safe = "yes" if found and set(found) == {"helped"} else "not shown"
    return [*cells, "no" if "hurt" in found else safe]


def reference_kind(row: RunScores, others: Sequence[RunScores]) -> str:
    """Kind of comparison: "its start" if a run is compared with its source, else "transfer"."""
    sources = ancestors(row.run) if isinstance(row.run, Run) else set()
    return "its start" if {other.run.name for other in others} <= sources else "transfer"


def ancestors(run: Run) -> set[str]:
    """Names of all runs that a run was initialized from, directly or indirectly."""
    return {name for source in sources_of(run) for name in (source.name, *ancestors(source))}
