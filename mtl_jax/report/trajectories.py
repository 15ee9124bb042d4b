"""Figure of optimization paths in the plane, over contours of the mean loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.toy import ToyProblem, ToyRun
from mtl_jax.report.plotting import (
    COLUMNS,
    add_heading,
    add_legend,
    label_edges,
    limit_width,
    panel_rows,
    paper_figure,
    set_title,
)

GRID_SIZE = 121


@paper_figure
def figure(runs: Sequence[ToyRun], paths: Sequence[Mapping[str, Any]], heading: str = ""):
    """A panel per toy run: starts (dots), paths, ends (crosses) and the Pareto set (gray).

    Args:
      runs: runs in the plane.
      paths: of each run, with points `[S, T, 2]`.
      heading: what to write above the panels.
    """
    from matplotlib.patches import Patch

    fig, (block,) = panel_rows([len(runs)], 1.5)
    landscapes, artists = {}, {}
    for run, path, axis in zip(runs, paths, block, strict=True):
        if run.problem not in landscapes:
            landscapes[run.problem] = loss_landscape(run.problem)
        x, y, mean, distance = landscapes[run.problem]
        axis.contour(x, y, mean, 25, linewidths=0.3, cmap="viridis")
        axis.contourf(x, y, distance, levels=[0.0, 0.3], colors=["0.6"], alpha=0.8)
        for points in np.asarray(path["points"]):
            artists["path"], *_ = axis.plot(*points.T, color="#D55E00")
            artists["start"], *_ = axis.plot(*points[0], "o", ms=2.5, color="black")
            artists["end"], *_ = axis.plot(*points[-1], "x", ms=4, mew=0.8, color="black")
        set_title(axis, run.name, COLUMNS)
        axis.set_xlim(x.min(), x.max())
        axis.set_ylim(y.min(), y.max())
        axis.locator_params(nbins=4, prune="both")  # None in the corner of two axes.
    limit_width(fig, block, 1.0)
    label_edges(block, "first parameter", "second parameter")
    if heading:
        add_heading(fig, heading)
    add_legend(fig, {**artists, "Pareto set": Patch(color="0.6", alpha=0.8)})
    return fig


def loss_landscape(problem: ToyProblem) -> tuple[np.ndarray, ...]:
    """Coordinates, mean loss and distance to the Pareto set on a fine grid, each `[n, n]`."""
    sides = [np.linspace(low, high, GRID_SIZE) for low, high in problem.plot_limits]
    x, y = np.meshgrid(*sides)
    points = jnp.asarray(np.stack([x.ravel(), y.ravel()], -1), jnp.float32)
    mean = jax.vmap(lambda point: problem.losses(point).mean())(points)
    distance = jax.vmap(problem.distance_to_pareto)(points)
    return x, y, np.asarray(mean).reshape(x.shape), np.asarray(distance).reshape(x.shape)
