"""Operations on neighbourhoods: smooth, blur, sharpness.

Grey levels are integers 0..255 in float32, `[H, W, C]` with any C; results agree exactly with
Pillow's `ImageFilter` and `ImageEnhance`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.augment.image.blend import blend

SMOOTH = ((1, 1, 1), (1, 5, 1), (1, 1, 1))
BLUR = ((1, 1, 1, 1, 1), (1, 0, 0, 0, 1), (1, 0, 0, 0, 1), (1, 0, 0, 0, 1), (1, 1, 1, 1, 1))


def smooth(grey: jax.Array, share: jax.Array) -> jax.Array:
    """Blends grey levels `[H, W, C]` with means over 3 x 3 pixels, by a fraction in [0, 1]."""
    return blend(grey, filtered(grey, SMOOTH), share)


def blur(grey: jax.Array, share: jax.Array) -> jax.Array:
    """Blends grey levels `[H, W, C]` with means over the rim of 5 x 5, by a fraction in [0, 1]."""
    return blend(grey, filtered(grey, BLUR), share)


def sharpness(grey: jax.Array, factor: jax.Array) -> jax.Array:
    """Smooths grey levels `[H, W, C]` for factors below 1, sharpens them for factors above 1."""
    return blend(filtered(grey, SMOOTH), grey, factor)


def filtered(grey: jax.Array, weights: tuple[tuple[int, ...], ...]) -> jax.Array:
    """Weighted means of the neighbours of each pixel, rounded.

    The border, where neighbours are missing, is unchanged, as in Pillow.
    """
    height, width, channels = grey.shape
    reach, row = len(weights) // 2, width * channels
    # Rows of all channels in parallel, since three channels fill no vector register.
    flat = grey.reshape(height, row)
    side = reach * channels
    padded = jnp.pad(flat, ((reach, reach), (side, side)))
    total = jnp.zeros_like(flat)
    for i, line in enumerate(weights):
        for j, weight in enumerate(line):
            if weight:
                part = padded[i : i + height, j * channels : j * channels + row]
                total = total + float(weight) * part
    mean = jnp.floor(total / float(np.sum(weights)) + 0.5)
    inside = np.zeros((height, width, channels), bool)
    inside[reach : height - reach, reach : width - reach] = True
    return jnp.where(inside.reshape(height, row), mean, flat).reshape(grey.shape)
