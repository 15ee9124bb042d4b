"""Helpers for figures: empty figures, grids of panels, and colours."""

import itertools
import math
from collections.abc import Iterator


def new_figure(*size: float, layout: str | None = None):
    """An empty figure of a size in inches, without importing pyplot, which takes half a second."""
    from matplotlib.figure import Figure

    return Figure(size, layout=layout)


def subplot_grid(panels: int, width: float = 3.2, height: float = 2.4):
    """A figure with a grid of panels, and its axes."""
    columns = min(4, panels)
    lines = math.ceil(panels / columns)
    size = (width * columns + 1.6, height * lines + 0.7)
    figure = new_figure(*size)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    # Margins are set manually, in inches: a layout engine takes half of the plotting time.
    figure.subplots_adjust(
        left=0.6 / size[0], right=1.0 - 1.3 / size[0], bottom=0.55 / size[1],
        top=1.0 - 0.35 / size[1], wspace=0.2, hspace=0.35,
    )  # fmt: skip
    for unused in axes[panels:]:
        unused.set_axis_off()
    return figure, axes


def colour_cycle() -> Iterator[str]:
    """Endless iterator over the default colours."""
    from matplotlib import rcParams

    return itertools.cycle(rcParams["axes.prop_cycle"].by_key()["color"])


def colours_of(names: list[str]) -> dict[str, object]:
    """A colour for each name: from the colour cycle, or from a colour map if there are too many."""
    from matplotlib import colormaps, rcParams

    if len(names) <= len(rcParams["axes.prop_cycle"]):
        return dict(zip(names, colour_cycle(), strict=False))
    shades = colormaps["viridis"]
    return {name: shades(place / (len(names) - 1)) for place, name in enumerate(names)}
