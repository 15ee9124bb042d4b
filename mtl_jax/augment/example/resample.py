"""Reads a map `[H, W, ...]` at real-valued positions; see `affine_map` for their convention."""

import jax
import jax.numpy as jnp

from mtl_jax.augment.example.affine_map import AffineMap, determinant, source_positions
from mtl_jax.core.example_transform import Size


def read_nearest(array: jax.Array, mapping: AffineMap, size: Size, fill: float) -> jax.Array:
    """Reads the pixel that each output pixel's center lies in.

    Args:
      array: source, `[H, W, ...]`.
      mapping: from output to source.
      size: height h and width w of the output.
      fill: value outside the source.

    Returns:
      The output `[h, w, ...]`.
    """
    x, y = source_positions(mapping, pixel_centers(size[1]), pixel_centers(size[0]))
    height, width = array.shape[:2]
    row, column = (
        jnp.floor(position).clip(0, length - 1).astype(jnp.int32)
        for position, length in ((y, height), (x, width))
    )
    found = read_pixels(array, row, column)
    return jnp.where(inside(x, y, array), found, jnp.asarray(fill, array.dtype))


def read_linear(
    array: jax.Array, mapping: AffineMap, size: Size, fill: float, reduction: float = 1.0
) -> jax.Array:
    """Interpolates linearly between the centers of pixels; at the border the last one counts.

    Where the map may shrink the source, each output pixel is the mean of `k x k` positions, k
    the `reduction` rounded. At that reduction they tile the output pixel, so each source pixel
    counts; at less they are closer together, and where nothing shrinks they coincide.

    Args:
      array: source, floats `[H, W, ...]`; a NaN makes NaN of what is interpolated from it.
      mapping: from output to source.
      size: height h and width w of the output.
      fill: value outside the source.
      reduction: the most source pixels along an output pixel that the map may have.

    Returns:
      The output `[h, w, ...]`.
    """
    count = max(int(reduction + 0.5), 1)
    height, width = size
    offsets = jnp.zeros(1, jnp.float32)
    if count > 1:
        actual = jnp.sqrt(jnp.abs(determinant(mapping.linear)))
        spread = ((1.0 - 1.0 / actual) / (1.0 - 1.0 / count)).clip(0.0, 1.0)
        offsets = spread * (pixel_centers(count) / count - 0.5)
    x = (pixel_centers(width)[:, None] + offsets[None]).reshape(-1)
    y = (pixel_centers(height)[:, None] + offsets[None]).reshape(-1)
    x, y = source_positions(mapping, x, y)
    found = jnp.where(inside(x, y, array), interpolate(array, x, y), jnp.asarray(fill, array.dtype))
    if count == 1:
        return found
    return found.reshape(height, count, width, count, *array.shape[2:]).mean((1, 3))


def interpolate(array: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Values between the centers of pixels at `x` and `y` `[h, w]`, constant beyond the last."""
    height, width = array.shape[:2]
    top, bottom, down = neighbors(y, height)
    left, right, across = neighbors(x, width)
    down, across = (
        weight.astype(array.dtype).reshape(*weight.shape, *(1,) * (array.ndim - 2))
        for weight in (down, across)
    )
    above, below = (
        read_pixels(array, row, left) * (1.0 - across) + read_pixels(array, row, right) * across
        for row in (top, bottom)
    )
    return above * (1.0 - down) + below * down


def read_pixels(array: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """The pixels `[h, w, ...]` of a map at row and column indices inside it, `[h, w]`."""
    height, width = array.shape[:2]
    flat = jnp.asarray(array).reshape(height * width, *array.shape[2:])
    return flat.at[row * width + column].get(mode="promise_in_bounds")


def neighbors(position: jax.Array, length: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The pixels before and after a position along a side, and the weight of the second."""
    position = (position - 0.5).clip(0.0, length - 1.0)
    low = jnp.floor(position)
    index = low.astype(jnp.int32)
    return index, jnp.minimum(index + 1, length - 1), position - low


def inside(x: jax.Array, y: jax.Array, array: jax.Array) -> jax.Array:
    """Whether positions `[h, w]` lie in a map; `[h, w, 1, ...]` with as many axes as the map."""
    height, width = array.shape[:2]
    mask = (x >= 0.0) & (x < width) & (y >= 0.0) & (y < height)
    return mask.reshape(*mask.shape, *(1,) * (array.ndim - 2))


def pixel_centers(count: int) -> jax.Array:
    """Positions of the centers of pixels along a side, `[count]`."""
    return jnp.arange(count, dtype=jnp.float32) + 0.5
