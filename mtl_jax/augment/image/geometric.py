"""Geometric operations: rotate, shear, translate.

Gray levels are integers 0..255 in float32, `[H, W, C]` with any C; a pixel takes the value
nearest to its source position, as in Pillow's `Image.transform`, or the fill `[C]`.
"""

import jax
import jax.numpy as jnp


def rotate(gray: jax.Array, degrees: jax.Array, fill: jax.Array) -> jax.Array:
    """Rotates an image about its centre, counter-clockwise for positive degrees."""
    y, x = gray.shape[0] / 2, gray.shape[1] / 2
    angle = jnp.deg2rad(degrees)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rows = (sin, cos, y - sin * x - cos * y)
    columns = (cos, -sin, x - cos * x + sin * y)
    return affine_transform(gray, rows, columns, fill)


def shear_x(gray: jax.Array, shear: jax.Array, fill: jax.Array) -> jax.Array:
    """Reads row y from `shear * y` pixels further right."""
    return affine_transform(gray, (0.0, 1.0, 0.0), (1.0, shear, 0.0), fill)


def shear_y(gray: jax.Array, shear: jax.Array, fill: jax.Array) -> jax.Array:
    """Reads column x from `shear * x` pixels further down."""
    return affine_transform(gray, (shear, 1.0, 0.0), (1.0, 0.0, 0.0), fill)


def translate_x(gray: jax.Array, pixels: jax.Array, fill: jax.Array) -> jax.Array:
    """Translates an image to the left by a number of pixels, to the right if negative."""
    return affine_transform(gray, (0.0, 1.0, 0.0), (1.0, 0.0, pixels), fill)


def translate_y(gray: jax.Array, pixels: jax.Array, fill: jax.Array) -> jax.Array:
    """Translates an image up by a number of pixels, down if negative."""
    return affine_transform(gray, (0.0, 1.0, pixels), (1.0, 0.0, 0.0), fill)


def affine_transform(gray: jax.Array, rows: tuple, columns: tuple, fill: jax.Array) -> jax.Array:
    """Reads the pixel at (x, y) from row `a x + b y + c` and column `d x + e y + f`.

    Args:
      gray: gray levels `[H, W, C]`.
      rows: a, b and c; positions are those of the pixels' centres, which end in a half.
      columns: d, e and f.
      fill: gray levels `[C]` outside the image.
    """
    height, width, channels = gray.shape
    row, column = (source_indices(coefficients, height, width) for coefficients in (rows, columns))
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    index = jnp.where(inside, row * width + column, height * width)
    # XLA would recompute the index for each channel that is read; a maximum over an axis is
    # computed beforehand. Rotating an image of 32 x 32 x 3 took 2.2 us this way, and 7 us without.
    index = jnp.stack([index, jnp.zeros_like(index)]).max(0)
    # An extra pixel with the fill avoids a mask over all channels.
    flat = jnp.concatenate([gray.reshape(-1, channels), fill[None].astype(gray.dtype)])
    return flat.at[index].get(mode="promise_in_bounds")


def source_indices(coefficients: tuple, height: int, width: int) -> jax.Array:
    """Integer positions `floor(a x + b y + c)` at the pixels' centres, int32 `[H, W]`."""
    # In 65536ths of a pixel, as in Pillow, so that ties are resolved alike.
    x, y = (jax.lax.broadcasted_iota(jnp.int32, (height, width), axis) for axis in (1, 0))
    a, b, c = (jnp.asarray(value, jnp.float32) for value in coefficients)
    start = to_fixed_point(c + 0.5 * a + 0.5 * b)
    return (start + to_fixed_point(a) * x + to_fixed_point(b) * y) >> 16


def to_fixed_point(value: jax.Array) -> jax.Array:
    """A number in 65536ths, rounded, int32."""
    return jnp.floor(value * 65536.0 + 0.5).astype(jnp.int32)
