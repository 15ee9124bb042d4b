"""Figure of optimization paths in the plane, over contours of the mean loss."""

from typing import Any

import jax
import numpy as np

from mtl_jax.config.toy import ToyRun
from mtl_jax.report.figures import subplot_grid

FINENESS = 121


def figure(descents: list[ToyRun], paths: list[dict[str, Any]]):
    """A panel per descent: starts (dots), paths, ends (crosses) and the Pareto set (grey)."""
    drawn, axes = subplot_grid(len(descents), height=2.8)
    levels = {}
    for descent, kept, axis in zip(descents, paths, axes, strict=False):
        if descent.problem not in levels:
            levels[descent.problem] = loss_landscape(descent)
        across, up, mean, gap = levels[descent.problem]
        axis.contour(across, up, mean, 25, linewidths=0.4, cmap="viridis")
        axis.contourf(across, up, gap, levels=[0.0, 0.3], colors=["0.6"], alpha=0.8)
        for points in np.asarray(kept["points"]):
            axis.plot(*points.T, lw=1.2, color="tab:red")
            axis.plot(*points[0], "o", ms=3, color="black")
            axis.plot(*points[-1], "x", ms=5, color="black")
        axis.set_title(descent.name, fontsize=9)
        axis.set_xlim(across.min(), across.max())
        axis.set_ylim(up.min(), up.max())
        axis.tick_params(labelsize=7)
    return drawn


def loss_landscape(descent: ToyRun) -> tuple[np.ndarray, ...]:
    """Coordinates, mean loss and distance to the Pareto set on a fine grid, each `[n, n]`."""
    sides = [np.linspace(low, high, FINENESS) for low, high in descent.problem.plot_limits]
    across, up = np.meshgrid(*sides)
    points = np.stack([across.ravel(), up.ravel()], -1).astype(np.float32)
    mean = jax.vmap(lambda point: descent.problem.losses(point).mean())(points)
    gap = jax.vmap(descent.problem.distance_to_pareto)(points)
    return across, up, np.asarray(mean).reshape(across.shape), np.asarray(gap).reshape(up.shape)
