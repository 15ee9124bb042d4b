"""Pointwise operations on gray levels: invert, posterize, solarize, equalize.

Gray levels are integers 0..255 in float32, `[H, W, C]` with any C; results agree exactly with
Pillow's `ImageOps`.
"""

import jax
import jax.numpy as jnp


def invert(gray: jax.Array) -> jax.Array:
    """`255 - g` of gray levels `[H, W, C]`."""
    return 255.0 - gray


def posterize(gray: jax.Array, bits: jax.Array) -> jax.Array:
    """Keeps the highest bits, an integer 1..8, of gray levels `[H, W, C]`."""
    step = jnp.exp2(8.0 - bits)
    return jnp.floor(gray / step) * step


def solarize(gray: jax.Array, threshold: jax.Array) -> jax.Array:
    """Inverts the gray levels `[H, W, C]` that are not below a threshold in 0..256."""
    return jnp.where(gray < threshold, gray, 255.0 - gray)


def equalize(gray: jax.Array) -> jax.Array:
    """Equalizes the histogram of the gray levels `[H, W, C]` of each channel.

    `min((s // 2 + #{pixels below g}) // s, 255)`, where s is a 255th of the pixels below the
    highest level; a channel with s = 0 is unchanged. For up to 2^24 pixels.
    """
    counts, below = pixels_below(gray)
    # Of all levels that occur, the highest has the most pixels below it.
    step = jnp.floor((jnp.where(counts > 0.0, below, 0.0).max(1, keepdims=True) + 0.5) / 255.0)
    # Adding one half keeps an integer quotient from being rounded below itself.
    table = jnp.floor((jnp.floor(step / 2.0) + below + 0.5) / jnp.maximum(step, 1.0))
    levels = jnp.arange(256, dtype=gray.dtype)[None]
    return lookup(jnp.where(step > 0.0, jnp.minimum(table, 255.0), levels), gray)


def pixels_below(gray: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Number of pixels of each channel at each gray level, and below it, `[C, 256]`.

    For 448 images of 32 x 32 x 3 in a loop on one CPU core: 15 us per image, but 22 us with
    `cumsum`; by sorting or comparing 90 us and more.
    """
    counts = jnp.zeros(256 * gray.shape[2], jnp.int32)
    counts = counts.at[flat_indices(gray)].add(1, mode="promise_in_bounds").reshape(-1, 256)
    at_or_below, shift = counts, 1
    while shift < 256:
        at_or_below = at_or_below + jnp.pad(at_or_below, ((0, 0), (shift, 0)))[:, :256]
        shift *= 2
    return counts.astype(gray.dtype), (at_or_below - counts).astype(gray.dtype)


def lookup(table: jax.Array, gray: jax.Array) -> jax.Array:
    """Values of a table `[C, 256]` at the gray levels of each channel."""
    # Scattered, the table is computed once; XLA would recompute an entry for each pixel that
    # reads it, 66 us per image instead of 30 on a CPU, and it drops barriers before fusing.
    table = table.reshape(-1)
    table = jnp.zeros_like(table).at[jnp.arange(table.size)].set(table, mode="promise_in_bounds")
    return table.at[flat_indices(gray)].get(mode="promise_in_bounds")


def flat_indices(gray: jax.Array) -> jax.Array:
    """Index of each pixel in a flat table `[C, 256]`, int32."""
    return gray.astype(jnp.int32) + 256 * jnp.arange(gray.shape[2], dtype=jnp.int32)[None, None]
