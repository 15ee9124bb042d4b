"""Figure of optimization paths in the plane, over contours of the mean loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.toy import ToyProblem, ToyRun
from mtl_jax.report.plotting import subplot_grid

GRID_SIZE = 121


def figure(runs: Sequence[ToyRun], paths: Sequence[Mapping[str, Any]]):
    """A panel per toy run: starts (dots), paths, ends (crosses) and the Pareto set (grey)."""
    fig, axes = subplot_grid(len(runs), height=2.8)
    landscapes = {}
    for run, path, axis in zip(runs, paths, axes, strict=False):
        if run.problem not in landscapes:
            landscapes[run.problem] = loss_landscape(run.problem)
        x, y, mean, distance = landscapes[run.problem]
        axis.contour(x, y, mean, 25, linewidths=0.4, cmap="viridis")
        axis.contourf(x, y, distance, levels=[0.0, 0.3], colors=["0.6"], alpha=0.8)
        for points in np.asarray(path["points"]):
            axis.plot(*points.T, lw=1.2, color="tab:red")
            axis.plot(*points[0], "o", ms=3, color="black")
            axis.plot(*points[-1], "x", ms=5, color="black")
        axis.set_title(run.name, fontsize=9)
        axis.set_xlim(x.min(), x.max())
        axis.set_ylim(y.min(), y.max())
        axis.tick_params(labelsize=7)
    return fig


def loss_landscape(problem: ToyProblem) -> tuple[np.ndarray, ...]:
    """Coordinates, mean loss and distance to the Pareto set on a fine grid, each `[n, n]`."""
    sides = [np.linspace(low, high, GRID_SIZE) for low, high in problem.plot_limits]
    x, y = np.meshgrid(*sides)
    points = jnp.asarray(np.stack([x.ravel(), y.ravel()], -1), jnp.float32)
    mean = jax.vmap(lambda point: problem.losses(point).mean())(points)
    distance = jax.vmap(problem.distance_to_pareto)(points)
    return x, y, np.asarray(mean).reshape(x.shape), np.asarray(distance).reshape(x.shape)
