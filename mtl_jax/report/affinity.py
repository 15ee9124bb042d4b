"""Affinity figure: gradient cosines over training, and inter-task affinity."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.report.plotting import MEDIUM, SMALL, WIDTH, new_figure, paper_figure
from mtl_jax.report.text_size import break_lines, short_number, shorten, text_width
from mtl_jax.storage.run_directory import RunDirectory

MAX_PAIRS = 30  # If there are more, the most conflicting and the most aligned are shown.
MAX_RUNS = 10
MAX_TICKS = 14  # Columns of the matrix with a name; of more, every n-th has one.
NAME = 0.7  # Inches of a task's name.


@paper_figure
def affinity(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """A row of two panels for each run that recorded affinities; None if there is none.

    Left, one row per pair of tasks: the cosine of their gradients at every evaluation, mean over
    seeds, from the most conflicting to the most aligned pair. Right: by how much a step on the
    row's task lowers the loss of the column's task, mean over seeds and evaluations. All runs have
    the same colors.
    """
    from matplotlib.ticker import MaxNLocator

    by_run = {
        run.name: ([task.name for task in run.tasks], *read_affinities(folders[run.name]))
        for run in experiment.runs
        if len(run.tasks) > 1 and any("affinity" in r for r in folders[run.name].records())
    }
    if not by_run:
        return None
    shown = list(by_run.items())[:MAX_RUNS]
    heights = [0.11 * max(num_pairs(len(names)), len(names), 5) for _, (names, *_) in shown]
    margins = [0.45 + title_height(name) + names_width(names) for name, (names, *_) in shown]
    figure = new_figure(sum(heights) + sum(margins) + 0.8)
    axes = figure.subplots(len(shown), 2, squeeze=False, height_ratios=heights)
    limit = largest([matrix for _, (*_, matrix) in shown])
    for (name, (names, steps, cosines, matrix)), (left, right) in zip(shown, axes, strict=True):
        draw_cosines(left, name, names, steps, cosines)
        draw_matrix(right, names, matrix, limit)
    for column, label in enumerate(
        ("cosine of gradients", "share of the loss that the step takes away")
    ):
        (image,) = axes[0, column].get_images()
        bar = figure.colorbar(
            image,
            ax=axes[:, column],
            location="bottom",
            aspect=30,
            pad=0.1 / figure.get_figheight(),
        )
        bar.set_label(break_lines(label, 0.25 * WIDTH, MEDIUM))
        bar.locator, bar.formatter = MaxNLocator(4), short_number
    return figure


class Affinities(NamedTuple):
    """Affinities of K tasks at T evaluations, means over seeds."""

    steps: list[int]
    cosine: np.ndarray  # [T, K, K]
    lookahead: np.ndarray  # [K, K]


def read_affinities(folder: RunDirectory) -> Affinities:
    """The affinities that a run measured."""
    records = [record for record in folder.records() if "affinity" in record]
    cosine, lookahead = (
        np.array([record["affinity"][kind] for record in records], float).mean(1)
        for kind in ("cosine", "lookahead")
    )
    return Affinities([record["step"] for record in records], cosine, lookahead.mean(0))


def num_pairs(tasks: int) -> int:
    """Number of pairs of tasks that are shown."""
    return min(MAX_PAIRS, tasks * (tasks - 1) // 2)


def title_height(title: str) -> float:
    """Height of a title in inches."""
    return 0.1 * (break_title(title).count("\n") + 1)


def break_title(title: str) -> str:
    """A title on lines that fit above a panel."""
    return break_lines(title, 0.3 * WIDTH, SMALL)


def names_width(names: Sequence[str]) -> float:
    """Width of the longest name of a task in inches."""
    return max(text_width(shorten(name, NAME, SMALL), SMALL) for name in names)


def draw_cosines(axis, title: str, names: list[str], steps: list[int], cosines: np.ndarray) -> None:
    """Draws the cosines of task pairs over the evaluations."""
    pairs = np.array(list(itertools.combinations(range(len(names)), 2)))
    rows = cosines[:, pairs[:, 0], pairs[:, 1]].T
    order = np.argsort(rows.mean(1), kind="stable")
    if len(order) > MAX_PAIRS:
        half = MAX_PAIRS // 2
        order = np.concatenate([order[:half], order[-half:]])
        title = f"{title} ({MAX_PAIRS} of {len(pairs)} pairs)"
    draw_heat_map(axis, rows[order], 1.0)
    axis.set_title(break_title(title), fontsize=SMALL)
    short = [shorten(name, NAME, SMALL) for name in names]
    axis.set_yticks(range(len(order)), [f"{short[i]} - {short[j]}" for i, j in pairs[order]])
    ticks = np.unique(np.linspace(0, len(steps) - 1, 4).round().astype(int))
    axis.set_xticks(ticks, [short_number(steps[tick]) for tick in ticks])
    axis.set_xlabel("step")


def draw_matrix(axis, names: list[str], matrix: np.ndarray, limit: float) -> None:
    """Draws the affinity matrix, without the diagonal, which would dominate the color scale."""
    axis.set_facecolor("0.7")  # Color of the diagonal.
    draw_heat_map(axis, off_diagonal(matrix), limit)
    short = [shorten(name, NAME, SMALL) for name in names]
    every = math.ceil(len(names) / MAX_TICKS)
    ticks = range(0, len(names), every)
    axis.set_xticks(ticks, short[::every], rotation=90)
    axis.set_yticks(range(len(names)), short)
    axis.set_xlabel("loss of")
    axis.set_ylabel("step for")


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    """A matrix with NaN on its diagonal."""
    return np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)


def largest(matrices: Sequence[np.ndarray]) -> float:
    """The largest magnitude off the diagonals, 1 if it is 0."""
    return max(np.nanmax(np.abs(off_diagonal(matrix))) for matrix in matrices) or 1.0


def draw_heat_map(axis: Any, values: np.ndarray, limit: float) -> None:
    """Draws a heat map, diverging from `-limit` (red) to `limit` (blue)."""
    axis.imshow(
        values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
