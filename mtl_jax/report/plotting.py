"""The style of figures: width of a page of text, fonts, colors, panels, legends and files."""

import functools
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from mtl_jax.report.text_size import break_lines, short_number, shorten, text_width

WIDTH = 5.5  # Inches, the width of the text of NeurIPS and ICLR.
COLUMNS = 4  # Most panels side by side.
SMALL, MEDIUM = 6.0, 7.0  # Points: of ticks and legends, and of titles and labels.
MAX_NAMES = 60  # Entries of a legend.
MAX_LINES = 24  # Of a legend; of more, names are shortened for a further column.
DPI = 200
GRAY = "0.55"

# Wong, Points of view: Color blindness, Nature Methods 2011 (the palette of Okabe and Ito), and 15
# colors of Krzywinski, https://mk.bcgsc.ca/colorblind.
PALETTES = (
    ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"),
    ("#68023F", "#008169", "#EF0096", "#00DCB5", "#003C86", "#9400E6", "#009FFA", "#FF71FD",
     "#6A0213", "#008607", "#F60239", "#00E307", "#FFDC3D", "#7CFFFA", "#FFCFE2"),
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

STYLE: Any = {
    "font.size": SMALL,
    "axes.titlesize": MEDIUM,
    "axes.labelsize": MEDIUM,
    "figure.labelsize": MEDIUM,
    "figure.titlesize": MEDIUM,
    "axes.titlepad": 3.0,
    "axes.labelpad": 2.0,
    "axes.linewidth": 0.5,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "lines.linewidth": 0.9,
    "patch.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "text.hinting": "none",  # As wide at any resolution, and in a PDF.
    "text.parse_math": False,  # A name may have dollar signs.
    "pdf.fonttype": 42,  # Conferences refuse Type 3 fonts.
}
TICKS = {"labelsize": SMALL, "width": 0.5, "length": 2.0, "pad": 1.5}

Args = ParamSpec("Args")
Drawn = TypeVar("Drawn")


def paper_figure(draw: Callable[Args, Drawn]) -> Callable[Args, Drawn]:
    """Decorator of a function that draws a figure, or returns None: gives it the style."""

    @functools.wraps(draw)
    def styled(*args: Args.args, **kwargs: Args.kwargs) -> Drawn:
        from matplotlib import rc_context

        with rc_context(STYLE):
            figure: Any = draw(*args, **kwargs)
        for axis in figure.axes if figure is not None else ():
            axis.tick_params(**TICKS)
        return figure

    return styled


def new_figure(height: float):
    """An empty figure of a height in inches, without importing pyplot, which takes half a second."""
    from matplotlib.figure import Figure

    return Figure((WIDTH, height), DPI, layout="constrained")


def save(figure: Any, path: pathlib.Path) -> None:
    """Writes a figure as `path.png` and `path.pdf`."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure.savefig(path.with_name(f"{path.name}.png"), dpi=DPI)
        figure.set_layout_engine("none")  # It is laid out.
        figure.savefig(path.with_name(f"{path.name}.pdf"), metadata={"CreationDate": None})


def panel_rows(counts: Sequence[int], height: float, columns: int = COLUMNS):
    """A figure with blocks of panels, each on rows of its own.

    Args:
      counts: number of panels of each block.
      height: of a panel with its title and labels, in inches.
      columns: most panels of a row.

    Returns:
      The figure, and for each block its axes.
    """
    columns = min(columns, max(counts))
    rows = [math.ceil(count / columns) for count in counts]
    figure = new_figure(height * sum(rows) + 0.2)
    axes = figure.subplots(sum(rows), columns, squeeze=False)
    blocks, start = [], 0
    for count, size in zip(counts, rows, strict=True):
        block = axes[start : start + size].ravel()
        for unused in block[count:]:
            unused.set_axis_off()
        blocks.append(list(block[:count]))
        start += size
    return figure, blocks


def share_axes(block: Sequence[Any], xlabel: str, ylabel: str, scale: str = "linear") -> None:
    """Gives the drawn panels of a block the same axes, with ticks on the left and below.

    Args:
      block: the axes, as from `panel_rows`.
      xlabel: label of the horizontal axis.
      ylabel: label of the vertical axis.
      scale: of the vertical axis, as Matplotlib names it.
    """
    from matplotlib.ticker import MaxNLocator

    first, *others = block
    for axis in others:
        axis.sharex(first)
        axis.sharey(first)
    first.set_yscale(scale, **({"linthresh": 10.0} if scale == "symlog" else {}))
    label_edges(block, xlabel, ylabel)
    for axis in block:
        axis.tick_params(labelleft=bool(axis.get_ylabel()), labelbottom=bool(axis.get_xlabel()))
        axis.xaxis.set_major_formatter(short_number)
        axis.yaxis.set_major_formatter(short_number)
    first.autoscale()
    if scale == "symlog":
        first.yaxis.get_major_locator().set_params(numticks=4)
    for axis in (first.xaxis, first.yaxis)[: 2 if scale == "linear" else 1]:
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2))


def limit_width(figure: Any, block: Sequence[Any], ratio: float) -> None:
    """Keeps a few panels as narrow as those of a full row: of a height over width."""
    if len(block) < COLUMNS:
        figure.set_layout_engine("compressed")
        for axis in block:
            axis.set_box_aspect(ratio)


def label_edges(block: Sequence[Any], xlabel: str, ylabel: str) -> None:
    """Labels the axes of the panels of a block that are on the left, and that have none below."""
    columns = block[0].get_gridspec().ncols
    for index, axis in enumerate(block):
        axis.set_ylabel(ylabel if index % columns == 0 else "")
        axis.set_xlabel(xlabel if index + columns >= len(block) else "")


def set_title(axis: Any, title: str, columns: int = 0) -> None:
    """Sets the title of a panel, of a figure of at least some columns, on lines that fit."""
    columns = max(columns, axis.get_gridspec().ncols)
    axis.set_title(break_title(title, columns), fontsize=SMALL)


def break_title(title: str, columns: int, names: float = 0.0) -> str:
    """A title on lines that fit above a panel.

    Args:
      title: the text.
      columns: number of panels of a row.
      names: width in inches of what stands on the left of each panel.
    """
    return break_lines(title, min(0.7 * WIDTH / columns, WIDTH / columns - names - 0.15), SMALL)


def add_heading(figure: Any, text: str) -> None:
    """Writes a text above all panels, on paper added for it."""
    lines = break_lines(text, 0.95 * WIDTH, SMALL)
    figure.set_figheight(figure.get_figheight() + 0.1 * (lines.count("\n") + 1))
    figure.suptitle(lines, fontsize=SMALL)


def add_legend(figure: Any, artists: Mapping[str, Any], most: int = MAX_NAMES) -> None:
    """Adds the one legend of a figure, in as many columns as fit, on paper added below the panels.

    If there are too many names for `most` entries, every n-th one is shown.
    """
    shown = dict(list(artists.items())[:: max(1, math.ceil(len(artists) / most))])
    least = math.ceil(len(shown) / MAX_LINES)  # Columns.
    names = [break_lines(name, WIDTH - 0.8, SMALL) for name in shown]
    if least > 1:
        names = [shorten(name, (WIDTH - 0.2) / least - 0.46, SMALL) for name in shown]
    widest = max(text_width(line, SMALL) for name in names for line in name.split("\n"))
    columns = max(1, min(len(names), int((WIDTH - 0.2) / (widest + 0.45))))
    lines = math.ceil(len(names) / columns) * max(name.count("\n") + 1 for name in names)
    figure.set_figheight(figure.get_figheight() + 0.11 * lines + 0.06)
    figure.legend(
        list(shown.values()), names, loc="outside lower center", ncols=columns,
        handlelength=2.0, columnspacing=1.0, labelspacing=0.3,
    )  # fmt: skip


def add_color_bar(figure: Any, axes: Sequence[Any], label: str) -> None:
    """Adds the one color bar of panels with images, on paper added below them."""
    height = figure.get_figheight() + 0.35
    figure.set_figheight(height)
    bar = figure.colorbar(
        axes[0].get_images()[0], ax=axes, location="bottom", shrink=0.4, aspect=30, pad=0.1 / height
    )
    bar.set_label(label)
    bar.formatter = short_number


def colors_of(names: Sequence[str]) -> dict[str, Any]:
    """A color for each name, distinct also for the color-blind; of many, along a color map."""
    for palette in PALETTES:
        if len(names) <= len(palette):
            return dict(zip(names, palette, strict=False))
    from matplotlib import colormaps

    viridis = colormaps["viridis"]
    last = 0.95 / (len(names) - 1)  # The brightest yellow is hard to see.
    return {name: viridis(index * last) for index, name in enumerate(names)}
