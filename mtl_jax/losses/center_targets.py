"""Targets of detection by centers: heatmaps, sizes and offsets of boxes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

MIN_OVERLAP = 0.7


class CenterTargets(NamedTuple):
    """Targets of the M boxes of an image in a map `[h, w]`; lengths are in cells of the map."""

    heatmap: jax.Array  # [h, w, C], 1 in the cells of centers.
    size: jax.Array  # [M, 2], width and height.
    offset: jax.Array  # [M, 2], x and y of a center from the corner of its cell.
    cell: jax.Array  # [M, 2], row and column.
    mask: jax.Array  # [M], whether there is a box.


def center_targets(
    boxes: jax.Array, shape: tuple[int, int, int], stride: int, corrected_radius: bool = False
) -> CenterTargets:
    """Targets of the boxes of one image.

    The heatmap of a class is the maximum over its boxes of
    `exp(-((x - x_c)^2 + (y - y_c)^2) / (2 s^2))` around the cell of the center, in a square window
    of a radius r with `s = (2 r + 1) / 6`. The radius is that of the size, rounded up.

    Unlike the authors' code, boxes are not cut half a cell before the border of the map.

    Args:
      boxes: class, x0, y0, x1 and y1 in pixels of the image, `[M, 5]`. Those with a negative class,
        NaN or no area are none.
      shape: of the heatmap, `(h, w, C)`.
      stride: pixels of the image along a side of a cell.
      corrected_radius: see `gaussian_radius`.
    """
    rows, columns, classes = shape
    kind, corners = boxes[:, 0], boxes[:, 1:] / stride
    mask = (kind >= 0) & (corners[:, 2:] > corners[:, :2]).all(1)
    corners = jnp.where(mask[:, None], corners, 0.0)
    size = corners[:, 2:] - corners[:, :2]
    center = (corners[:, 2:] + corners[:, :2]) / 2
    last = jnp.array([[columns - 1, rows - 1]], center.dtype)
    cell = jnp.floor(center).clip(0.0, last)

    width, height = jnp.ceil(size).T
    radius = jnp.floor(gaussian_radius(height, width, corrected=corrected_radius))
    across = window(jnp.arange(columns), cell[:, 0], radius)
    down = window(jnp.arange(rows), cell[:, 1], radius)
    # Boxes that are none have no class, so they are not drawn.
    index = jnp.where(mask, kind, classes).astype(jnp.int32)
    peaks = down[:, :, None] * across[:, None, :]
    heatmap = jnp.zeros((classes, rows, columns), peaks.dtype).at[index].max(peaks, mode="drop")
    at = cell[:, ::-1].astype(jnp.int32)
    return CenterTargets(jnp.moveaxis(heatmap, 0, -1), size, center - cell, at, mask)


def window(places: jax.Array, center: jax.Array, radius: jax.Array) -> jax.Array:
    """Gaussians `[M, n]` around centers `[M]` along one axis, 0 beyond their radii `[M]`."""
    distance = places.astype(center.dtype)[None] - center[:, None]
    sigma = (2.0 * radius + 1.0)[:, None] / 6.0
    values = jnp.exp(-jnp.square(distance) / (2.0 * jnp.square(sigma)))
    return jnp.where(jnp.abs(distance) <= radius[:, None], values, 0.0)


def gaussian_radius(
    height: jax.Array, width: jax.Array, *, corrected: bool = False, overlap: float = MIN_OVERLAP
) -> jax.Array:
    """How far corners may be from those of a box that still counts as found.

    The authors' code solves quadratic equations for two corners displaced by r that leave an
    intersection over union of o, but leaves out the division by the leading coefficient; the
    smallest of its values is `sqrt((o s)^2 + 4 o (1 - o) h w) - o s` with `s = h + w`. Published
    numbers are with these radii. `corrected` has the roots, which are several times smaller.

    Args:
      height: h, any shape.
      width: w, of that shape.
      corrected: whether the equations are solved.
      overlap: o.

    Returns:
      The radii, in the unit of `height`.

    Reference: Law and Deng, CornerNet, ECCV 2018, Section 3.2 (https://arxiv.org/abs/1808.01244);
      the code of Zhou et al., Objects as Points (github.com/xingyizhou/CenterNet).
    """
    total, area = height + width, height * width
    larger = jnp.sqrt(jnp.square(overlap * total) + 4.0 * overlap * (1.0 - overlap) * area)
    larger = larger - overlap * total
    if not corrected:
        return larger
    # By the sizes of the displaced box: one corner each way, both inward, both outward.
    moved = total - jnp.sqrt(jnp.square(total) - 4.0 * area * (1.0 - overlap) / (1.0 + overlap))
    smaller = total - jnp.sqrt(jnp.square(total) - 4.0 * area * (1.0 - overlap))
    return jnp.minimum(jnp.minimum(moved / 2.0, smaller / 4.0), larger / (4.0 * overlap))
