"""Autocontrast: stretches the gray levels of each channel over the whole range."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.augment.image.pointwise import lookup


def autocontrast(gray: jax.Array) -> jax.Array:
    """Maps the lowest gray level of each channel to 0 and the highest to 255.

    `floor(255 (g - low) / (high - low))` of gray levels `[H, W, C]`, but one less where
    Pillow's `ImageOps.autocontrast` is; a channel with a single level is unchanged.
    """
    low, high = channel_range(gray)
    span = jnp.maximum(high - low, 1.0)
    levels = jnp.arange(256, dtype=gray.dtype)[None]
    scaled = 255.0 * (levels - low).clip(0.0, span)
    # Adding one half keeps an integer quotient from being rounded below itself.
    table = jnp.floor((scaled + 0.5) / span)
    one_below = is_one_below(low.astype(jnp.int32), span.astype(jnp.int32), table.astype(jnp.int32))
    table = jnp.where((table * span == scaled) & one_below, table - 1.0, table)
    return lookup(jnp.where(high > low, table, levels), gray)


def channel_range(gray: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The lowest and highest gray level of each channel, `[C, 1]`."""
    height, width, channels = gray.shape
    # All rows at once, since three channels fill no vector register, and by halves, which XLA
    # vectorises while it does not vectorise a minimum over rows; one array of both keeps it from
    # reducing rows and columns together.
    low = high = gray.reshape(height, width * channels)
    while len(low) > 1 and len(low) % 2 == 0:
        low, high = jnp.minimum(*jnp.split(low, 2)), jnp.maximum(*jnp.split(high, 2))
    extremes = jnp.stack([-low.min(0), high.max(0)]).reshape(2, width, channels).max(1)
    return -extremes[0][:, None], extremes[1][:, None]


def is_one_below(low: jax.Array, span: jax.Array, level: jax.Array) -> jax.Array:
    """Whether Pillow is one level below the exact one, `[C, 256]`, for low and span `[C, 1]`."""
    starts, divisors, bits = (jnp.asarray(part) for part in one_below_table())
    divisor = divisors[span]
    index = starts[span] + low * (divisor + 1) + level * divisor // 255
    return (bits[index >> 3] >> (7 - (index & 7)).astype(jnp.uint8)) & 1 == 1


@functools.cache
def one_below_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where Pillow is one level too low, since it computes in float64 and rounds down.

    That happens only where the exact level is an integer: at multiples of
    `span / gcd(span, 255)` above the lowest level.

    Returns:
      For each span of levels the offset of its bits, and the divisor, int32 `[256]`; and a bit
      for each lowest level and multiple, packed by eight in uint8.
    """
    divisors = np.array([math.gcd(span, 255) for span in range(256)], np.int32)
    parts = [np.zeros(0, bool)]
    for span in range(1, 256):
        low, multiple = np.ix_(np.arange(256 - span), np.arange(divisors[span] + 1))
        scale = 255.0 / span
        rounded = (low + multiple * (span // divisors[span])) * scale + -low * scale
        parts.append((rounded < multiple * (255 // divisors[span])).reshape(-1))
    starts = np.cumsum([0] + [len(part) for part in parts[:-1]], dtype=np.int32)
    return starts, divisors, np.packbits(np.concatenate(parts))
