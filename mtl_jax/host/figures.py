"""Figures of an experiment: learning curves, gains over single-task, weights and cosines."""

import itertools
import math
import pathlib
from collections.abc import Iterator

import numpy as np

from mtl_jax.compare import interval
from mtl_jax.host.folder import Folder
from mtl_jax.host.scores import Scores, baselines, collect, comparable, paired_gain, tasks_of
from mtl_jax.run import Experiment, Run


def write(experiment: Experiment, folders: dict[str, Folder], root: pathlib.Path) -> None:
    """Writes `curves.png`, and `gains.png` and `balance.png` where there is something to show."""
    rows = collect(experiment, folders)
    curves(experiment, folders).savefig(root / "curves.png", dpi=120)
    gain = gains(experiment, rows)
    if gain is not None:
        gain.savefig(root / "gains.png", dpi=120)
    balanced = balance(experiment, folders)
    if balanced is not None:
        balanced.savefig(root / "balance.png", dpi=120)


def blank(*size: float, layout: str | None = None):
    """An empty figure of a size in inches; pyplot stays unloaded, it takes half a second."""
    from matplotlib.figure import Figure

    return Figure(size, layout=layout)


def grid(panels: int, width: float = 3.2, height: float = 2.4):
    """A figure with a grid of panels, and its axes."""
    columns = min(4, panels)
    lines = math.ceil(panels / columns)
    size = (width * columns + 1.6, height * lines + 0.7)
    figure = blank(*size)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    # Margins in inches by hand: a layout engine takes half of the time of all figures.
    figure.subplots_adjust(
        left=0.6 / size[0], right=1.0 - 1.3 / size[0], bottom=0.55 / size[1],
        top=1.0 - 0.35 / size[1], wspace=0.2, hspace=0.35,
    )  # fmt: skip
    for unused in axes[panels:]:
        unused.set_axis_off()
    return figure, axes


def curves(experiment: Experiment, folders: dict[str, Folder]):
    """One panel a run: each task's validation metric over the steps, mean and range of seeds."""
    figure, axes = grid(len(experiment.runs))
    colours = dict(zip(tasks_of(experiment), colour_cycle(), strict=False))
    for run, axis in zip(experiment.runs, axes, strict=False):
        records = [r for r in folders[run.name].records() if "validation" in r]
        steps = [record["step"] for record in records]
        for task in run.tasks:
            for kind, style in (("raw", "-"), ("ema", ":")):
                values = task.metric.scale * np.array(
                    [r["validation"][kind][task.name][task.metric.name] for r in records]
                )
                axis.plot(
                    steps,
                    values.mean(1),
                    style,
                    color=colours[task.name],
                    label=f"{task.name} {kind}",
                )
                axis.fill_between(
                    steps, values.min(1), values.max(1), color=colours[task.name], alpha=0.12, lw=0
                )
        axis.set_title(run.name, fontsize=9)
        axis.tick_params(labelsize=7)
    # Not every panel has every task, so the legend stands beside them all.
    drawn = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    figure.legend(drawn.values(), drawn.keys(), loc="upper right", fontsize=7)
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("validation", fontsize=9)
    return figure


def gains(experiment: Experiment, rows: list[Scores]):
    """Bars: how much better than single-task each task of a run is, with paired intervals."""
    singles, tasks = baselines(experiment, rows), tasks_of(experiment)
    shown = [row for row in rows if row.run.name not in experiment.baselines]
    if not shown or not all(task in singles for task in tasks):
        return None
    figure = blank(7.0, 0.8 + 0.32 * len(shown), layout="constrained")
    axis, height = figure.subplots(), 0.8 / len(tasks)
    for place, (name, colour) in enumerate(zip(tasks, colour_cycle(), strict=False)):
        there = [(y, row) for y, row in enumerate(shown) if comparable(row, name, singles)]
        spreads = [interval(paired_gain(row, tasks[name], singles[name])) for _, row in there]
        axis.barh(
            [y + (place - (len(tasks) - 1) / 2) * height for y, _ in there],
            [mean for mean, _ in spreads],
            height,
            xerr=[0.0 if math.isnan(half) else half for _, half in spreads],
            color=colour,
            label=name,
            error_kw={"lw": 0.8},
        )
    axis.axvline(0.0, color="black", lw=0.8)
    axis.set_yticks(range(len(shown)), [row.run.name for row in shown], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("test gain over single-task, paired by seed, 95 % interval")
    axis.legend(fontsize=8)
    return figure


def balance(experiment: Experiment, folders: dict[str, Folder]):
    """One panel for each run whose weights move: these, and the cosines of its gradients."""
    runs = [run for run in experiment.runs if moves(run, folders[run.name])]
    if not runs:
        return None
    figure, axes = grid(len(runs))
    for run, axis in zip(runs, axes, strict=False):
        for name, colour, (steps, values) in traces(run, folders[run.name]):
            style = "--" if name.startswith("cosine") else "-"
            axis.plot(steps, values.mean(1), style, color=colour, label=name)
        axis.axhline(0.0, color="grey", lw=0.5)
        axis.set_title(run.name, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.legend(fontsize=6)
    figure.supxlabel("step", fontsize=9)
    return figure


def moves(run: Run, folder: Folder) -> bool:
    """Whether there is more to show than constant weights."""
    shown = [(name, values) for name, _, (_, values) in traces(run, folder)]
    return len(run.tasks) > 1 and any(
        name.startswith("cosine") or np.ptp(values) > 0 for name, values in shown
    )


def traces(run: Run, folder: Folder):
    """The weights and cosines of a run over the steps, `[T, S]` each."""
    records = folder.records()
    names = [n for n in records[0]["train"] if n.startswith(("weight/", "cosine/"))]
    steps = [record["step"] for record in records]
    for name, colour in zip(names, colour_cycle(), strict=False):
        yield name, colour, (steps, np.array([record["train"][name] for record in records]))


def colour_cycle() -> Iterator[str]:
    """Colours for as many things as there are."""
    from matplotlib import rcParams

    return itertools.cycle(rcParams["axes.prop_cycle"].by_key()["color"])
