"""Operations that map each grey level to another: invert, posterize, solarize, equalize.

Grey levels are whole numbers 0..255 in float32, `[H, W, C]` with any C; results agree with
Pillow's `ImageOps` to the last level.
"""

import jax
import jax.numpy as jnp


def invert(grey: jax.Array) -> jax.Array:
    """`255 - g` of grey levels `[H, W, C]`."""
    return 255.0 - grey


def posterize(grey: jax.Array, bits: jax.Array) -> jax.Array:
    """Keeps the highest bits, a whole number 1..8, of grey levels `[H, W, C]`."""
    step = jnp.exp2(8.0 - bits)
    return jnp.floor(grey / step) * step


def solarize(grey: jax.Array, threshold: jax.Array) -> jax.Array:
    """Inverts the grey levels `[H, W, C]` that are not below a threshold in 0..256."""
    return jnp.where(grey < threshold, grey, 255.0 - grey)


def equalize(grey: jax.Array) -> jax.Array:
    """Spreads the grey levels `[H, W, C]` of each channel so that all are about as frequent.

    `min((s // 2 + #{pixels below g}) // s, 255)`, where s is a 255th of the pixels below the
    highest level; a channel with s = 0 stays as it is. For up to 2^24 pixels.
    """
    counts, below = pixels_below(grey)
    # Below the highest level that occurs are most pixels of all that occur.
    step = jnp.floor((jnp.where(counts > 0.0, below, 0.0).max(1, keepdims=True) + 0.5) / 255.0)
    # The half keeps a quotient that is whole from coming out below it.
    table = jnp.floor((jnp.floor(step / 2.0) + below + 0.5) / jnp.maximum(step, 1.0))
    levels = jnp.arange(256, dtype=grey.dtype)[None]
    return looked_up(jnp.where(step > 0.0, jnp.minimum(table, 255.0), levels), grey)


def pixels_below(grey: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How many pixels of each channel have each grey level, and how many are below, `[C, 256]`.

    Of 448 images of 32 x 32 x 3 in a loop on one CPU core: 15 us an image, but 22 us with
    `cumsum`; by sorting or comparing 90 us and more.
    """
    counts = jnp.zeros(256 * grey.shape[2], jnp.int32)
    counts = counts.at[entries(grey)].add(1, mode="promise_in_bounds").reshape(-1, 256)
    total, reach = counts, 1
    while reach < 256:
        total = total + jnp.pad(total, ((0, 0), (reach, 0)))[:, :256]
        reach *= 2
    return counts.astype(grey.dtype), (total - counts).astype(grey.dtype)


def looked_up(table: jax.Array, grey: jax.Array) -> jax.Array:
    """What a table `[C, 256]` has for each grey level of each channel."""
    # Scattered, the table is made once; XLA would make an entry anew for each pixel that
    # reads it, 66 us an image instead of 30 on a CPU, and drops barriers before it fuses.
    table = table.reshape(-1)
    table = jnp.zeros_like(table).at[jnp.arange(table.size)].set(table, mode="promise_in_bounds")
    return table.at[entries(grey)].get(mode="promise_in_bounds")


def entries(grey: jax.Array) -> jax.Array:
    """Where each pixel stands in a table `[C, 256]`, int32."""
    return grey.astype(jnp.int32) + 256 * jnp.arange(grey.shape[2], dtype=jnp.int32)[None, None]
