"""Effects of the factors of a factorial design: table section, CSV file and figure."""

import csv
import io
import math
import pathlib
from typing import NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.task import Task
from mtl_jax.metrics.comparison import Verdict, confidence_interval, verdicts
from mtl_jax.metrics.factorial import contrasts
from mtl_jax.report.formatting import count_verdicts, format_interval, markdown, metric_of
from mtl_jax.report.gains import VERDICTS
from mtl_jax.report.plotting import new_figure
from mtl_jax.report.scores import RunScores, mean_of, shown_tasks
from mtl_jax.storage.files import write_text

DRAWN = 2  # Higher-order interactions are in the table only.
COLUMNS = 4  # Columns of panels.
NOTE = (
    "Each level against the first of its factor ({first}), averaged over the levels of the other "
    "factors; paired by seed, with a 95 % interval; more is better. Of two factors the "
    "difference of differences: what they bring together beyond the sum of what each brings (hurt: "
    "less than that sum); of three, what that changes by. The verdict is on the average, at 5 % "
    "after Holm's correction for the {effects} effects; “helped, hurt” counts tasks, after the "
    "correction for the {tasks} effects on single tasks. The intervals are not widened."
)


class Effect(NamedTuple):
    """Effect of levels of factors, signed so that higher is better."""

    name: str
    order: int
    gains: dict[str, np.ndarray]  # by task, [S]
    average: np.ndarray | None  # [S]; None if tasks are measured in different units


def compute_effects(experiment: Experiment, rows: list[RunScores]) -> list[Effect]:
    """Main effects and interactions of up to three factors, main effects first."""
    tasks = tasks_of_cells(experiment, rows)
    each = {name: contrasts(values_of(experiment, rows, task)) for name, task in tasks.items()}
    effects = []
    for place, first in enumerate(next(iter(each.values()))):
        gains = {name: one[place].effect for name, one in each.items()}
        average = mean_of(tasks.values(), gains)
        effects.append(Effect(effect_name(experiment, first.levels), first.order, gains, average))
    return effects


def tasks_of_cells(experiment: Experiment, rows: list[RunScores]) -> dict[str, Task]:
    """The tasks of the cells, by name."""
    runs = {row.run.name: row.run for row in rows}
    names = experiment.factorial.cells[0].runs
    return {task.name: task for name in names for task in runs[name].tasks}


def values_of(experiment: Experiment, rows: list[RunScores], task: Task) -> np.ndarray:
    """Test metric of a task in every cell, higher is better, `[L_1, ..., L_F, S]`."""
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


def effect_name(experiment: Experiment, levels: tuple[int, ...]) -> str:
    """Name of an effect: the participating factors, each with its level."""
    design = experiment.factorial
    named = zip(design.factors, design.levels, levels, strict=True)
    return " and ".join(f"{factor}: {names[level]}" for factor, names, level in named if level)


def section(experiment: Experiment, rows: list[RunScores]) -> str:
    """The section of `table.md` on effects; empty without a design."""
    design = experiment.factorial
    if design is None:
        return ""
    shown = shown_tasks(tasks_of_cells(experiment, rows))
    body = []
    effects = compute_effects(experiment, rows)
    averages, each = verdicts_of(effects)
    for effect, average, own in zip(effects, averages, each, strict=True):
        line = [effect.name, *(format_interval(effect.gains[task]) for task in shown)]
        body.append([*line, format_interval(effect.average), average, count_verdicts(own)])
    head = ["effect", *map(metric_of, shown.values()), "average", "verdict", "helped, hurt"]
    pairs = zip(design.factors, design.levels, strict=True)
    note = NOTE.format(
        first=", ".join(f"{name}: {levels[0]}" for name, levels in pairs),
        effects=len(effects),
        tasks=sum(len(effect.gains) for effect in effects),
    )
    return f"\n## Effects of the factors\n\n{markdown(head, body)}\n{note}\n"


def verdicts_of(effects: list[Effect]) -> tuple[list[str], list[list[Verdict]]]:
    """Verdicts on the average of each effect, "-" if there is none, and on each of its tasks."""
    averaged = [effect.average for effect in effects if effect.average is not None]
    averages = iter(verdicts(averaged))
    each = iter(verdicts([gain for effect in effects for gain in effect.gains.values()]))
    return (
        ["-" if effect.average is None else next(averages) for effect in effects],
        [[next(each) for _ in effect.gains] for effect in effects],
    )


def write(experiment: Experiment, rows: list[RunScores], path: pathlib.Path) -> None:
    """Writes a CSV line per effect, task and seed, in full precision; no file without a design."""
    if experiment.factorial is None:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["effect", "order", "task", "seed", "gain"])
    runs = {row.run.name: row.run for row in rows}
    first = runs[experiment.factorial.cells[0].runs[0]].first_seed
    for effect in compute_effects(experiment, rows):
        for task, gains in effect.gains.items():
            for seed, gain in enumerate(gains.tolist(), first):
                out.writerow([effect.name, effect.order, task, seed, repr(gain)])
    write_text(path, text.getvalue())


def effects(experiment: Experiment, rows: list[RunScores]):
    """Main effects and two-factor interactions, each with its 95 % interval.

    A panel for the average if tasks are measured in the same unit, and one for each task unless
    there are many and the average is shown instead. None without a design.
    """
    if experiment.factorial is None:
        return None
    tasks = tasks_of_cells(experiment, rows)
    shown = [effect for effect in compute_effects(experiment, rows) if effect.order <= DRAWN]
    panels = {} if shown[0].average is None else {"average": [one.average for one in shown]}
    for name in shown_tasks(tasks) if panels else tasks:
        panels |= {f"{name} {tasks[name].metric.name}": [one.gains[name] for one in shown]}
    columns = min(COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    size = (2.6 * columns + 2.0, (0.9 + 0.25 * len(shown)) * lines)
    figure = new_figure(*size, layout="constrained")
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
    """Draws points with intervals, one below the other, in the colours of their verdicts."""
    for place, (gain, found) in enumerate(zip(gains, verdicts(gains), strict=True)):
        mean, half = confidence_interval(gain)
        half = 0.0 if math.isnan(half) else half
        colour = VERDICTS[found]
        axis.errorbar([mean], [place], xerr=[half], fmt="o", ms=4, capsize=2, color=colour)
    axis.axvline(0.0, color="black", lw=0.8)
    axis.tick_params(labelsize=7)
