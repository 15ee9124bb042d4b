"""Places labels beside the points of a figure so that none covers another one."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mtl_jax.report.plotting import SMALL
from mtl_jax.report.text_size import POINTS, text_width

NEAREST = 3.0  # Points from a point to its label.
DIRECTIONS = 16
LINE_FROM = 6.0  # Points of distance above which a line leads to the label.
MARGIN = 0.5  # Points around a label.


def place_labels(axis: Any, labels: Sequence[str], points: np.ndarray) -> None:
    """Writes a label beside each point, none on another label or point, all inside of the axes.

    The figure is laid out first, since distances are on paper; labels do not change the layout. Of
    free places the nearest is taken, in the order of the labels.

    Args:
      axis: axes whose limits and contents are final.
      labels: R labels, each of one line.
      points: `[R, 2]`, in the coordinates of the data.
    """
    from matplotlib.patheffects import withStroke

    figure = axis.figure
    figure.draw_without_rendering()
    scale = POINTS / figure.dpi
    places = axis.transData.transform(points) * scale
    box = axis.get_window_extent()
    inside = np.array([box.p0, box.p1]) * scale
    taken = [(place - 2.0, place + 2.0) for place in places]
    for label, point, place in zip(labels, points, places, strict=True):
        half = np.array([text_width(label, SMALL) * POINTS, SMALL * 0.9]) / 2.0 + MARGIN
        offset, distance = first_free(place, half, taken, inside)
        taken.append((place + offset - half, place + offset + half))
        text = axis.annotate(
            label, point, offset, textcoords="offset points", fontsize=SMALL, ha="center",
            va="center_baseline", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "lw": 0.3, "shrinkA": 0.0, "shrinkB": 1.0}
            if distance > LINE_FROM else None,
        )  # fmt: skip
        text.set_path_effects([withStroke(linewidth=1.2, foreground="white")])  # On error bars.
        text.set_in_layout(False)


def first_free(
    place: np.ndarray,
    half: np.ndarray,
    taken: Sequence[tuple[np.ndarray, np.ndarray]],
    inside: np.ndarray,
) -> tuple[np.ndarray, float]:
    """The nearest offset of a label from its point where it covers nothing, and its distance.

    Args:
      place: the point, `[2]`, here and below in points on paper.
      half: half of the width and height of the label, `[2]`.
      taken: lower and upper corners of what must not be covered.
      inside: lower and upper corner of the axes, `[2, 2]`.
    """
    low, high = (np.array(corners) for corners in zip(*taken, strict=True))
    for offset, distance in offsets(half, float(np.linalg.norm(inside[1] - inside[0]))):
        start, end = place + offset - half, place + offset + half
        covered = ((start < high) & (end > low)).all(-1).any()
        if not covered and (start >= inside[0]).all() and (end <= inside[1]).all():
            return offset, distance
    return half + NEAREST, NEAREST


def offsets(half: np.ndarray, largest: float) -> Iterator[tuple[np.ndarray, float]]:
    """Offsets of the center of a label from its point, with growing distance between them.

    The label is at first in the upper right of the point.

    Args:
      half: half of the width and height of the label, `[2]`.
      largest: the largest distance.
    """
    angles = np.pi / 4.0 + 2.0 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], -1)
    for distance in np.arange(NEAREST, largest, 2.0):
        for direction in directions:
            beside = half * np.clip(np.sqrt(2.0) * direction, -1.0, 1.0)
            yield distance * direction + beside, distance
