"""Pointwise operations on grey levels: invert, posterize, solarize, equalize.

Grey levels are integers 0..255 in float32, `[H, W, C]` with any C; results agree exactly with
Pillow's `ImageOps`.
"""

import jax
import jax.numpy as jnp


def invert(grey: jax.Array) -> jax.Array:
    """`255 - g` of grey levels `[H, W, C]`."""
    return 255.0 - grey


def posterize(grey: jax.Array, bits: jax.Array) -> jax.Array:
    """Keeps the highest bits, an integer 1..8, of grey levels `[H, W, C]`."""
    step = jnp.exp2(8.0 - bits)
    return jnp.floor(grey / step) * step


def solarize(grey: jax.Array, threshold: jax.Array) -> jax.Array:
    """Inverts the grey levels `[H, W, C]` that are not below a threshold in 0..256."""
    return jnp.where(grey < threshold, grey, 255.0 - grey)


def equalize(grey: jax.Array) -> jax.Array:
    """Equalizes the histogram of the grey levels `[H, W, C]` of each channel.

    `min((s // 2 + #{pixels below g}) // s, 255)`, where s is a 255th of the pixels below the
    highest level; a channel with s = 0 is unchanged. For up to 2^24 pixels.
    """
    counts, below = pixels_below(grey)
    # Of all levels that occur, the highest has the most pixels below it.
    step = jnp.floor((jnp.where(counts > 0.0, below, 0.0).max(1, keepdims=True) + 0.5) / 255.0)
    # Adding one half keeps an integer quotient from being rounded below itself.
    table = jnp.floor((jnp.floor(step / 2.0) + below + 0.5) / jnp.maximum(step, 1.0))
    levels = jnp.arange(256, dtype=grey.dtype)[None]
    return lookup(jnp.where(step > 0.0, jnp.minimum(table, 255.0), levels), grey)


def pixels_below(grey: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Number of pixels of each channel at each grey level, and below it, `[C, 256]`.

    For 448 images of 32 x 32 x 3 in a loop on one CPU core: 15 us per image, but 22 us with
    `cumsum`; by sorting or comparing 90 us and more.
    """
    counts = jnp.zeros(256 * grey.shape[2], jnp.int32)
    counts = counts.at[entries(grey)].add(1, mode="promise_in_bounds").reshape(-1, 256)
    total, reach = counts, 1
    while reach < 256:
        total = total + jnp.pad(total, ((0, 0), (reach, 0)))[:, :256]
        reach *= 2
    return counts.astype(grey.dtype), (total - counts).astype(grey.dtype)


def lookup(table: jax.Array, grey: jax.Array) -> jax.Array:
    """Values of a table `[C, 256]` at the grey levels of each channel."""
    # Scattered, the table is computed once; XLA would recompute an entry for each pixel that
    # reads it, 66 us per image instead of 30 on a CPU, and it drops barriers before fusing.
    table = table.reshape(-1)
    table = jnp.zeros_like(table).at[jnp.arange(table.size)].set(table, mode="promise_in_bounds")
    return table.at[entries(grey)].get(mode="promise_in_bounds")


def entries(grey: jax.Array) -> jax.Array:
    """Index of each pixel in a flat table `[C, 256]`, int32."""
    return grey.astype(jnp.int32) + 256 * jnp.arange(grey.shape[2], dtype=jnp.int32)[None, None]
