"""Effects of the factors of a design: section of the table, file of numbers, and figure."""

import csv
import io
import math
import pathlib
from typing import NamedTuple

import numpy as np

from mtl_jax.config.run import Experiment, Task
from mtl_jax.metrics.comparison import Verdict, interval, verdicts
from mtl_jax.metrics.factorial import contrasts
from mtl_jax.report.formatting import markdown, metric_of, spread, tally
from mtl_jax.report.gains import VERDICTS
from mtl_jax.report.plotting import blank
from mtl_jax.report.scores import Scores, mean_of, shown_tasks
from mtl_jax.storage.files import write_text

DRAWN = 2  # Interactions of more factors stand in the table only.
COLUMNS = 4  # Of panels.
NOTE = (
    "Each level against the first of its factor ({first}), averaged over the levels of the other "
    "factors; paired by seed, with a 95 % interval; more is better. Of two factors the "
    "difference of differences: what they bring together beyond the sum of what each brings (hurt: "
    "less than that sum); of three, what that changes by. The verdict is on the average, at 5 % "
    "after Holm's correction for the {effects} effects; “helped, hurt” counts tasks, after the "
    "correction for the {tasks} effects on single tasks. The intervals are not widened."
)


class Effect(NamedTuple):
    """What levels of factors bring, signed so that more is better."""

    name: str
    order: int
    gains: dict[str, np.ndarray]  # by task, [S]
    average: np.ndarray | None  # [S]; None if tasks are measured in different units


def found(experiment: Experiment, rows: list[Scores]) -> list[Effect]:
    """Main effects and interactions of up to three factors, main effects first."""
    tasks = tasks_of_cells(experiment, rows)
    each = {name: contrasts(values_of(experiment, rows, task)) for name, task in tasks.items()}
    effects = []
    for place, first in enumerate(next(iter(each.values()))):
        gains = {name: one[place].effect for name, one in each.items()}
        average = mean_of(tasks.values(), gains)
        effects.append(Effect(name_of(experiment, first.levels), first.order, gains, average))
    return effects


def tasks_of_cells(experiment: Experiment, rows: list[Scores]) -> dict[str, Task]:
    """The tasks that every cell has, by name."""
    runs = {row.run.name: row.run for row in rows}
    names = experiment.factorial.cells[0].runs
    return {task.name: task for name in names for task in runs[name].tasks}


def values_of(experiment: Experiment, rows: list[Scores], task: Task) -> np.ndarray:
    """Test metric of a task in every cell, more is better, `[L_1, ..., L_F, S]`."""
    design = experiment.factorial
    by_name = {row.run.name: row.selected for row in rows}
    cells = {
        cell.levels: by_name[name][task.name]
        for cell in design.cells
        for name in cell.runs
        if task.name in by_name[name]
    }
    shape = [len(levels) for levels in design.levels]
    values = np.stack(
        [
            cells[tuple(names[place] for names, place in zip(design.levels, places, strict=True))]
            for places in np.ndindex(*shape)
        ]
    )
    sign = 1.0 if task.metric.higher_is_better else -1.0
    return sign * values.reshape(*shape, -1)


def name_of(experiment: Experiment, levels: tuple[int, ...]) -> str:
    """The factors that take part, each with its level."""
    design = experiment.factorial
    named = zip(design.factors, design.levels, levels, strict=True)
    return " and ".join(f"{factor}: {names[level]}" for factor, names, level in named if level)


def section(experiment: Experiment, rows: list[Scores]) -> str:
    """What `table.md` says of effects; empty without a design."""
    design = experiment.factorial
    if design is None:
        return ""
    shown = shown_tasks(tasks_of_cells(experiment, rows))
    body = []
    effects = found(experiment, rows)
    averages, each = verdicts_of(effects)
    for effect, average, own in zip(effects, averages, each, strict=True):
        line = [effect.name, *(spread(effect.gains[task]) for task in shown)]
        body.append([*line, spread(effect.average), average, tally(own)])
    head = ["effect", *map(metric_of, shown.values()), "average", "verdict", "helped, hurt"]
    pairs = zip(design.factors, design.levels, strict=True)
    note = NOTE.format(
        first=", ".join(f"{name}: {levels[0]}" for name, levels in pairs),
        effects=len(effects),
        tasks=sum(len(effect.gains) for effect in effects),
    )
    return f"\n## Effects of the factors\n\n{markdown(head, body)}\n{note}\n"


def verdicts_of(effects: list[Effect]) -> tuple[list[str], list[list[Verdict]]]:
    """On the average of each effect, "-" where there is none, and on each of its tasks."""
    averaged = [effect.average for effect in effects if effect.average is not None]
    averages = iter(verdicts(averaged))
    each = iter(verdicts([gain for effect in effects for gain in effect.gains.values()]))
    return (
        ["-" if effect.average is None else next(averages) for effect in effects],
        [[next(each) for _ in effect.gains] for effect in effects],
    )


def write(experiment: Experiment, rows: list[Scores], path: pathlib.Path) -> None:
    """Writes one line an effect, task and seed, with every digit; without a design no file."""
    if experiment.factorial is None:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["effect", "order", "task", "seed", "gain"])
    runs = {row.run.name: row.run for row in rows}
    first = runs[experiment.factorial.cells[0].runs[0]].first_seed
    for effect in found(experiment, rows):
        for task, gains in effect.gains.items():
            for seed, gain in enumerate(gains.tolist(), first):
                out.writerow([effect.name, effect.order, task, seed, repr(gain)])
    write_text(path, text.getvalue())


def effects(experiment: Experiment, rows: list[Scores]):
    """Main effects and interactions of two factors, each with its 95 % interval around 0.

    A panel for the average if tasks are measured in one unit, and one for each task unless
    there are many and the average stands for them. None without a design.
    """
    if experiment.factorial is None:
        return None
    tasks = tasks_of_cells(experiment, rows)
    shown = [effect for effect in found(experiment, rows) if effect.order <= DRAWN]
    panels = {} if shown[0].average is None else {"average": [one.average for one in shown]}
    for name in shown_tasks(tasks) if panels else tasks:
        panels |= {f"{name} {tasks[name].metric.name}": [one.gains[name] for one in shown]}
    columns = min(COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    size = (2.6 * columns + 2.0, (0.9 + 0.25 * len(shown)) * lines)
    figure = blank(*size, layout="constrained")
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for (title, gains), axis in zip(panels.items(), axes, strict=False):
        intervals(axis, gains)
        axis.set_title(title, fontsize=9)
    for unused in axes[len(panels) :]:
        unused.set_axis_off()
    axes[0].set_yticks(range(len(shown)), [one.name for one in shown], fontsize=8)
    axes[0].set_ylim(len(shown) - 0.5, -0.5)
    figure.supxlabel("effect on test, paired by seed, 95 % interval, more is better", fontsize=9)
    return figure


def intervals(axis, gains: list[np.ndarray]) -> None:
    """Points with intervals, one below the other, in the colours of their verdicts."""
    for place, (gain, found) in enumerate(zip(gains, verdicts(gains), strict=True)):
        mean, half = interval(gain)
        half = 0.0 if math.isnan(half) else half
        colour = VERDICTS[found]
        axis.errorbar([mean], [place], xerr=[half], fmt="o", ms=4, capsize=2, color=colour)
    axis.axvline(0.0, color="black", lw=0.8)
    axis.tick_params(labelsize=7)
