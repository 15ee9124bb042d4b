"""Operations that look at neighbours: smooth, blur, sharpness.

Grey levels are whole numbers 0..255 in float32, `[H, W, C]` with any C; results agree with
Pillow's `ImageFilter` and `ImageEnhance` to the last level.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.augment.image.blend import blend

SMOOTH = ((1, 1, 1), (1, 5, 1), (1, 1, 1))
BLUR = ((1, 1, 1, 1, 1), (1, 0, 0, 0, 1), (1, 0, 0, 0, 1), (1, 0, 0, 0, 1), (1, 1, 1, 1, 1))


def smooth(grey: jax.Array, share: jax.Array) -> jax.Array:
    """Mixes grey levels `[H, W, C]` with a share in [0, 1] of their means over 3 x 3 pixels."""
    return blend(grey, filtered(grey, SMOOTH), share)


def blur(grey: jax.Array, share: jax.Array) -> jax.Array:
    """Mixes grey levels `[H, W, C]` with a share in [0, 1] of means over the rim of 5 x 5."""
    return blend(grey, filtered(grey, BLUR), share)


def sharpness(grey: jax.Array, factor: jax.Array) -> jax.Array:
    """Smooths grey levels `[H, W, C]` by a factor below 1, sharpens them by one above."""
    return blend(filtered(grey, SMOOTH), grey, factor)


def filtered(grey: jax.Array, weights: tuple[tuple[int, ...], ...]) -> jax.Array:
    """Weighted means of the neighbours of each pixel, rounded.

    The border, where neighbours are missing, stays as it is, as in Pillow.
    """
    height, width, channels = grey.shape
    reach, row = len(weights) // 2, width * channels
    # Rows of all channels side by side, since three channels fill no vector register.
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
