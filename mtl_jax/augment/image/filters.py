"""Operations on neighbourhoods: smooth, blur, sharpness.

Gray levels are integers 0..255 in float32, `[H, W, C]` with any C; results agree exactly with
Pillow's `ImageFilter` and `ImageEnhance`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.augment.image.blend import blend

SMOOTH = ((1, 1, 1), (1, 5, 1), (1, 1, 1))
BLUR = ((1, 1, 1, 1, 1), (1, 0, 0, 0, 1), (1, 0, 0, 0, 1), (1, 0, 0, 0, 1), (1, 1, 1, 1, 1))


def smooth(gray: jax.Array, factor: jax.Array) -> jax.Array:
    """Blends gray levels `[H, W, C]` with means over 3 x 3 pixels, by a fraction in [0, 1]."""
    return blend(gray, filter_mean(gray, SMOOTH), factor)


def blur(gray: jax.Array, factor: jax.Array) -> jax.Array:
    """Blends gray levels `[H, W, C]` with means over the rim of 5 x 5, by a fraction in [0, 1]."""
    return blend(gray, filter_mean(gray, BLUR), factor)


def sharpness(gray: jax.Array, factor: jax.Array) -> jax.Array:
    """Smooths gray levels `[H, W, C]` for factors below 1, sharpens them for factors above 1."""
    return blend(filter_mean(gray, SMOOTH), gray, factor)


def filter_mean(gray: jax.Array, weights: tuple[tuple[int, ...], ...]) -> jax.Array:
    """Weighted means of the neighbours of each pixel, rounded.

    The border, where neighbours are missing, is unchanged, as in Pillow.
    """
    height, width, channels = gray.shape
    radius, stride = len(weights) // 2, width * channels
    # Rows of all channels in parallel, since three channels fill no vector register.
    flat = gray.reshape(height, stride)
    side = radius * channels
    padded = jnp.pad(flat, ((radius, radius), (side, side)))
    total = jnp.zeros_like(flat)
    for i, row in enumerate(weights):
        for j, weight in enumerate(row):
            if weight:
                window = padded[i : i + height, j * channels : j * channels + stride]
                total = total + float(weight) * window
    mean = jnp.floor(total / float(np.sum(weights)) + 0.5)
    inside = np.zeros((height, width, channels), bool)
    inside[radius : height - radius, radius : width - radius] = True
    return jnp.where(inside.reshape(height, stride), mean, flat).reshape(gray.shape)
