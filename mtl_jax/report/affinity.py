"""Affinity figure: gradient cosines over training, and inter-task affinity."""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.report.plotting import new_figure
from mtl_jax.storage.run_directory import RunDirectory

MAX_PAIRS = 30  # If there are more, the most conflicting and the most aligned are shown.
MAX_RUNS = 10


def affinity(experiment: Experiment, folders: Mapping[str, RunDirectory]):
    """A row of two panels for each run that recorded affinities; None if there is none.

    Left, one row per pair of tasks: the cosine of their gradients at every evaluation, mean over
    seeds, from the most conflicting to the most aligned pair. Right: by how much a step on the
    row's task lowers the loss of the column's task, mean over seeds and evaluations.
    """
    by_run = {
        run.name: ([task.name for task in run.tasks], *read_affinities(folders[run.name]))
        for run in experiment.runs
        if len(run.tasks) > 1 and any("affinity" in r for r in folders[run.name].records())
    }
    if not by_run:
        return None
    shown = list(by_run.items())[:MAX_RUNS]
    heights = [height(len(names)) for _, (names, *_) in shown]
    figure = new_figure(7.0 + max(heights), sum(heights), layout="constrained")
    ratios = {"height_ratios": heights, "width_ratios": [5.0, max(heights)]}
    axes = figure.subplots(len(shown), 2, squeeze=False, gridspec_kw=ratios)
    for (name, (names, steps, cosines, matrix)), (left, right) in zip(shown, axes, strict=True):
        draw_cosines(left, name, names, steps, cosines)
        draw_matrix(right, names, matrix)
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


def height(tasks: int) -> float:
    """Height of the panels of a run, in inches."""
    pairs = min(MAX_PAIRS, tasks * (tasks - 1) // 2)
    return 1.2 + max(0.13 * pairs, 0.16 * tasks, 0.8)


def draw_cosines(axis, title: str, names: list[str], steps: list[int], cosines: np.ndarray) -> None:
    """Draws the cosines of task pairs over the evaluations."""
    pairs = np.array(list(itertools.combinations(range(len(names)), 2)))
    rows = cosines[:, pairs[:, 0], pairs[:, 1]].T
    order = np.argsort(rows.mean(1), kind="stable")
    if len(order) > MAX_PAIRS:
        half = MAX_PAIRS // 2
        order = np.concatenate([order[:half], order[-half:]])
        title = f"{title} ({MAX_PAIRS} of {len(pairs)} pairs)"
    draw_heat_map(axis, rows[order], 1.0, "cosine of gradients")
    axis.set_title(title, fontsize=9)
    labels = [f"{names[i]} - {names[j]}" for i, j in pairs[order]]
    axis.set_yticks(range(len(labels)), labels, fontsize=6)
    ticks = np.unique(np.linspace(0, len(steps) - 1, 6).astype(int))
    axis.set_xticks(ticks, [str(steps[tick]) for tick in ticks], fontsize=7)
    axis.set_xlabel("step", fontsize=8)


def draw_matrix(axis, names: list[str], matrix: np.ndarray) -> None:
    """Draws the affinity matrix, without the diagonal, which would dominate the color scale."""
    axis.set_facecolor("0.7")  # Color of the diagonal.
    off_diagonal = np.where(np.eye(len(names), dtype=bool), np.nan, matrix)
    largest = np.nanmax(np.abs(off_diagonal))
    draw_heat_map(axis, off_diagonal, largest if largest > 0 else 1.0, "share of the loss")
    size = 7 if len(names) <= 14 else 5
    axis.set_xticks(range(len(names)), names, fontsize=size, rotation=90)
    axis.set_yticks(range(len(names)), names, fontsize=size)
    axis.set_title("a step for the row lowers the column's loss by", fontsize=8)


def draw_heat_map(axis, values: np.ndarray, limit: float, label: str) -> None:
    """Draws a heat map, diverging from `-limit` (red) to `limit` (blue), and its color bar."""
    image = axis.imshow(
        values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    bar = axis.figure.colorbar(image, ax=axis)
    bar.set_label(label, fontsize=7)
    bar.ax.tick_params(labelsize=6)
