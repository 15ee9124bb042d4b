"""The section on transfer: what it cost against scratch, and what was forgotten."""

from mtl_jax.compare import verdict
from mtl_jax.host.scores import Scores, mean_of, paired_gain, shown_tasks, tasks_of
from mtl_jax.host.text import markdown, spread, tally
from mtl_jax.run import Experiment, Run, sources_of

NOTE = (
    "The gap is the error of the run less that of the run from scratch, paired by seed, with a 95 "
    "% interval: above 0 is negative transfer (Wang et al., 2019, arXiv 1811.09751). Where a run "
    "stands against its start, the run that it began from, the gap is what it lost since: on a "
    "task of the source, what it forgot. “Helped, hurt” "
    "counts the tasks whose interval lies wholly below or above 0, and a transfer is safe if none "
    "is hurt; one seed has no interval."
)


def section(experiment: Experiment, rows: list[Scores]) -> str:
    """What `table.md` says of transfer; empty if the experiment names no scratch."""
    if not experiment.scratch:
        return ""
    by_name = {row.run.name: row for row in rows}
    shown = shown_tasks(tasks_of(experiment))
    head = ["run", "against", "gap", *shown, "average", "helped, hurt", "safe"]
    body = [line([by_name[name] for name in pair], list(shown)) for pair in experiment.scratch]
    return f"\n## Transfer against scratch\n\n{markdown(head, body)}\n{NOTE}\n"


def line(rows: list[Scores], shown: list[str]) -> list[str]:
    """The cells of a run and of those that it stands against."""
    row, *others = rows
    tasks = {task.name: task for task in row.run.tasks}
    gains = {
        name: paired_gain(row, tasks[name], other)
        for other in others
        for name in other.selected
        if name in tasks
    }
    average = mean_of([tasks[name] for name in gains], gains) if len(gains) > 1 else None
    hurt = any(verdict(gain) == "hurt" for gain in gains.values())
    cells = [row.run.name, ", ".join(other.run.name for other in others), kind(row, others)]
    cells += [spread(None if name not in gains else -gains[name]) for name in shown]
    cells += [spread(None if average is None else -average), tally(list(gains.values()))]
    return [*cells, "-" if row.run.seeds == 1 else "no" if hurt else "yes"]


def kind(row: Scores, others: list[Scores]) -> str:
    """Whether a run stands against what it started from, or against scratch."""
    began = ancestors(row.run) if isinstance(row.run, Run) else set()
    return "its start" if {other.run.name for other in others} <= began else "transfer"


def ancestors(run: Run) -> set[str]:
    """Names of the runs that one started from, the source of its source too."""
    return {name for one in sources_of(run) for name in (one.name, *ancestors(one))}
