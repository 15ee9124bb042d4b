"""Effects of the factors of a factorial design: table section, CSV file and figure."""

import csv
import io
import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.study_design import Factorial
from mtl_jax.config.task import Task
from mtl_jax.metrics.comparison import Verdict, confidence_interval, verdicts
from mtl_jax.metrics.factorial import contrasts
from mtl_jax.report.columns import shown_tasks
from mtl_jax.report.formatting import count_verdicts, format_interval, markdown, metric_of
from mtl_jax.report.gains import VERDICT_COLORS, VERDICT_MARKERS
from mtl_jax.report.plotting import SMALL, WIDTH, add_legend, new_figure, paper_figure
from mtl_jax.report.scores import RunScores, mean_of
from mtl_jax.report.text_size import break_lines, short_number
from mtl_jax.storage.files import write_text

MAX_ORDER = 2  # Higher-order interactions are in the table only.
COLUMNS = 3  # Columns of panels.
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


def compute_effects(design: Factorial, rows: Sequence[RunScores]) -> list[Effect]:
    """Main effects and interactions of up to three factors, main effects first."""
    tasks = tasks_of_cells(design, rows)
    by_task = {name: contrasts(values_of(design, rows, task)) for name, task in tasks.items()}
    effects = []
    for index, first in enumerate(next(iter(by_task.values()))):
        gains = {name: found[index].effect for name, found in by_task.items()}
        average = mean_of(tasks.values(), gains)
        effects.append(Effect(effect_name(design, first.levels), first.order, gains, average))
    return effects


def tasks_of_cells(design: Factorial, rows: Sequence[RunScores]) -> dict[str, Task]:
    """The tasks of the cells, by name."""
    runs = {row.run.name: row.run for row in rows}
    names = design.cells[0].runs
    return {task.name: task for name in names for task in runs[name].tasks}


def values_of(design: Factorial, rows: Sequence[RunScores], task: Task) -> np.ndarray:
    """Test metric of a task in every cell, higher is better, `[L_1, ..., L_F, S]`."""
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
            cells[tuple(levels[i] for levels, i in zip(design.levels, index, strict=True))]
            for index in np.ndindex(*shape)
        ]
    )
    sign = 1.0 if task.selection_metric.higher_is_better else -1.0
    return sign * values.reshape(*shape, -1)


def effect_name(design: Factorial, levels: tuple[int, ...]) -> str:
    """Name of an effect: the participating factors, each with its level."""
    factors = zip(design.factors, design.levels, levels, strict=True)
    return " and ".join(f"{factor}: {names[level]}" for factor, names, level in factors if level)


def section(experiment: Experiment, rows: Sequence[RunScores]) -> str:
    """The section of `table.md` on effects; empty without a design."""
    design = experiment.factorial
    if design is None:
        return ""
    shown = shown_tasks(tasks_of_cells(design, rows))
    body = []
    effects = compute_effects(design, rows)
    averages, by_task = verdicts_of(effects)
    for effect, average, found in zip(effects, averages, by_task, strict=True):
        line = [effect.name, *(format_interval(effect.gains[task]) for task in shown)]
        body.append([*line, format_interval(effect.average), average, count_verdicts(found)])
    head = ["effect", *map(metric_of, shown.values()), "average", "verdict", "helped, hurt"]
    pairs = zip(design.factors, design.levels, strict=True)
    note = NOTE.format(
        first=", ".join(f"{name}: {levels[0]}" for name, levels in pairs),
        effects=len(effects),
        tasks=sum(len(effect.gains) for effect in effects),
    )
    return f"\n## Effects of the factors\n\n{markdown(head, body)}\n{note}\n"


def verdicts_of(effects: Sequence[Effect]) -> tuple[list[str], list[list[Verdict]]]:
    """Verdicts on the average of each effect, "-" if there is none, and on each of its tasks."""
    average_gains = [effect.average for effect in effects if effect.average is not None]
    averages = iter(verdicts(average_gains))
    by_task = iter(verdicts([gain for effect in effects for gain in effect.gains.values()]))
    return (
        ["-" if effect.average is None else next(averages) for effect in effects],
        [[next(by_task) for _ in effect.gains] for effect in effects],
    )


def write(experiment: Experiment, rows: Sequence[RunScores], path: pathlib.Path) -> None:
    """Writes a CSV line per effect, task and seed, in full precision; no file without a design."""
    design = experiment.factorial
    if design is None:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["effect", "order", "task", "seed", "gain"])
    runs = {row.run.name: row.run for row in rows}
    first = runs[design.cells[0].runs[0]].first_seed
    for effect in compute_effects(design, rows):
        for task, gains in effect.gains.items():
            for seed, gain in enumerate(gains.tolist(), first):
                out.writerow([effect.name, effect.order, task, seed, repr(gain)])
    write_text(path, text.getvalue())


@paper_figure
def effects(experiment: Experiment, rows: Sequence[RunScores]):
    """Main effects and two-factor interactions, each with its 95 % interval and its verdict.

    A panel for the average if tasks are measured in the same unit, and one for each task unless
    there are many and the average is shown instead. None without a design.
    """
    design = experiment.factorial
    if design is None:
        return None
    tasks = tasks_of_cells(design, rows)
    every = compute_effects(design, rows)
    # Judged with those that are not shown, as in the table.
    judged = zip(every, *verdicts_of(every), strict=True)
    judged = [each for each in judged if each[0].order <= MAX_ORDER]
    shown = [effect for effect, _, _ in judged]
    averages = [(e.average, verdict) for e, verdict, _ in judged if e.average is not None]
    panels = {"average": averages} if averages else {}
    for name in shown_tasks(tasks) if panels else tasks:
        place = list(tasks).index(name)
        title = f"{name} {tasks[name].selection_metric.name}"
        panels[title] = [(effect.gains[name], found[place]) for effect, _, found in judged]
    columns = min(COLUMNS, len(panels))
    num_rows = math.ceil(len(panels) / columns)
    names = [break_lines(effect.name, 0.35 * WIDTH, SMALL) for effect in shown]
    lines = sum(name.count("\n") + 1 for name in names)
    figure = new_figure((0.5 + 0.06 * len(names) + 0.11 * lines) * num_rows + 0.3)
    axes = figure.subplots(num_rows, columns, sharex=bool(averages), sharey=True, squeeze=False)
    axes = axes.ravel()
    for (title, judged_gains), axis in zip(panels.items(), axes, strict=False):
        draw_intervals(axis, judged_gains)
        axis.xaxis.set_major_formatter(short_number)
        axis.set_title(break_lines(title, 0.5 * WIDTH / columns, SMALL), fontsize=SMALL)
    for unused in axes[len(panels) :]:
        unused.set_axis_off()
    axes[0].set_yticks(range(len(shown)), names)
    axes[0].set_ylim(len(shown) - 0.5, -0.5)
    figure.suptitle("effect on test, paired by seed, 95 % interval, more is better")
    add_legend(figure, verdict_markers())
    return figure


def verdict_markers() -> dict[str, Any]:
    """Artists of the markers of verdicts, by verdict."""
    from matplotlib.lines import Line2D

    return {
        verdict: Line2D([], [], ls="", marker=VERDICT_MARKERS[verdict], ms=3.5, color=color)
        for verdict, color in VERDICT_COLORS.items()
    }


def draw_intervals(axis, gains: Sequence[tuple[np.ndarray, Any]]) -> None:
    """Draws points with intervals, one below the other, in the colors of their verdicts."""
    for y, (gain, verdict) in enumerate(gains):
        mean, half = confidence_interval(gain)
        half = 0.0 if math.isnan(half) else half
        color, marker = VERDICT_COLORS[verdict], VERDICT_MARKERS[verdict]
        axis.errorbar([mean], [y], xerr=[half], fmt=marker, ms=3.5, capsize=2, lw=0.8, color=color)
    axis.axvline(0.0, color="black", lw=0.5)
