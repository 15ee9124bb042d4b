"""Affine maps from the pixels of a transformed image to those of its source.

Positions are `(x, y)` in pixels from the upper left corner of the image, so that the center of
pixel `(i, j)` is at `(j + 1/2, i + 1/2)`, as in Pillow.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.example_transform import Size


class AffineMap(NamedTuple):
    """A map `p -> linear p + offset` from positions in the output to positions in the source.

    All in float32, whatever the dtype of the image.

    Attributes:
      linear: `[2, 2]`, not singular.
      offset: `[2]`.
      zoom: how many times nearer the scene seems to be, `[]`. A crop or a change of resolution
        of the whole image has zoom 1.
    """

    linear: jax.Array
    offset: jax.Array
    zoom: jax.Array


def window(corner: jax.Array, extent: jax.Array, size: Size, zoom: jax.Array) -> AffineMap:
    """The map that shows a window of the source in an output of a given size.

    Args:
      corner: x and y of the upper left corner of the window, `[2]`.
      extent: width and height of the window, `[2]`.
      size: height and width of the output.
      zoom: of the map, `[]`.
    """
    scale = extent / jnp.array(size[::-1], jnp.float32)
    return AffineMap(jnp.diag(scale), corner, zoom)


def compose(first: AffineMap, second: AffineMap) -> AffineMap:
    """The map of the second transform applied to the output of the first."""
    # Sums instead of matrix products, which accelerators would round to fewer bits.
    linear = (first.linear[:, :, None] * second.linear[None]).sum(1)
    offset = (first.linear * second.offset[None]).sum(1) + first.offset
    return AffineMap(linear, offset, first.zoom * second.zoom)


def source_positions(mapping: AffineMap, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Source x and y `[h, w]` of the output positions with x in `[w]` and y in `[h]`."""
    (a, b), (c, d) = mapping.linear
    x, y = x[None, :], y[:, None]
    return a * x + b * y + mapping.offset[0], c * x + d * y + mapping.offset[1]


def determinant(linear: jax.Array) -> jax.Array:
    """The determinant `[]` of `[2, 2]`."""
    return linear[0, 0] * linear[1, 1] - linear[0, 1] * linear[1, 0]


def inverse(linear: jax.Array) -> jax.Array:
    """The inverse of `[2, 2]`."""
    (a, b), (c, d) = linear
    return jnp.array([[d, -b], [-c, a]]) / determinant(linear)


def nearest_orthogonal(linear: jax.Array) -> jax.Array:
    """The orthogonal matrix nearest to `[2, 2]`: its rotation, or its rotation and reflection."""
    (a, b), (c, d) = linear
    # The cofactors of an orthogonal matrix are its entries, but for the sign.
    cofactors = jnp.array([[d, -c], [-b, a]])
    total = linear + jnp.sign(determinant(linear)) * cofactors
    return total / jnp.sqrt((total[0] ** 2).sum())
