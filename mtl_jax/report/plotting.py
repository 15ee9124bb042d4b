"""Helpers for figures: empty figures, grids of panels, and colors."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Literal


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = None):
    """An empty figure of a size in inches, without importing pyplot, which takes half a second."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout=layout)


def subplot_grid(panels: int, width: float = 3.2, height: float = 2.4):
    """A figure with a grid of panels, and its axes."""
    columns = min(4, panels)
    rows = math.ceil(panels / columns)
    size = (width * columns + 1.6, height * rows + 0.7)
    figure = new_figure(*size)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    # Margins are set manually, in inches: a layout engine takes half of the plotting time.
    figure.subplots_adjust(
        left=0.6 / size[0], right=1.0 - 1.3 / size[0], bottom=0.55 / size[1],
        top=1.0 - 0.35 / size[1], wspace=0.2, hspace=0.35,
    )  # fmt: skip
    for unused in axes[panels:]:
        unused.set_axis_off()
    return figure, axes


def color_cycle() -> Iterator[str]:
    """Endless iterator over the default colors."""
    from matplotlib import rcParams

    return itertools.cycle(rcParams["axes.prop_cycle"].by_key()["color"])


def colors_of(names: Sequence[str]) -> dict[str, object]:
    """A color for each name: from the color cycle, or from a color map if there are too many."""
    from matplotlib import colormaps, rcParams

    if len(names) <= len(rcParams["axes.prop_cycle"]):
        return dict(zip(names, color_cycle(), strict=False))
    viridis = colormaps["viridis"]
    return {name: viridis(index / (len(names) - 1)) for index, name in enumerate(names)}
