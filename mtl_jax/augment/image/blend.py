"""Operations that mix an image with a poorer one: brightness, contrast, colour.

Grey levels are whole numbers 0..255 in float32, `[H, W, C]` with any C; results agree with
Pillow's `ImageEnhance` to the last level.
"""

import jax
import jax.numpy as jnp

WEIGHTS = (19595.0, 38470.0, 7471.0)  # 0.299, 0.587 and 0.114 in 65536ths


def blend(poor: jax.Array, grey: jax.Array, factor: jax.Array) -> jax.Array:
    """`floor(clip(poor + factor (grey - poor), 0, 255))`: 0 gives `poor`, 1 `grey`, 2 overdoes.

    Args:
      poor: grey levels that broadcast to `[H, W, C]`.
      grey: grey levels `[H, W, C]`.
      factor: float32 `[]`.
    """
    # Pillow rounds the product before it adds; a fused multiply-add would not, and a level
    # here and there would differ. Of two halves of a factor both products are exact, so
    # their sum is rounded once, fused or not.
    coarse = jax.lax.reduce_precision(factor, 8, 11)
    apart = grey - poor
    product = coarse * apart + (factor - coarse) * apart
    return jnp.floor((poor + product).clip(0.0, 255.0))


def brightness(grey: jax.Array, factor: jax.Array) -> jax.Array:
    """Mixes grey levels `[H, W, C]` with black."""
    return blend(jnp.zeros_like(grey), grey, factor)


def contrast(grey: jax.Array, factor: jax.Array) -> jax.Array:
    """Mixes grey levels `[H, W, C]` with their mean luma, rounded, everywhere."""
    height, width, _ = grey.shape
    mean = luma(grey).sum() / (height * width)
    return blend(jnp.broadcast_to(jnp.floor(mean + 0.5), grey.shape), grey, factor)


def color(grey: jax.Array, factor: jax.Array) -> jax.Array:
    """Mixes grey levels `[H, W, C]` with the luma of each pixel; nothing changes if C is 1."""
    if grey.shape[2] == 1:
        return grey
    return blend(jnp.broadcast_to(luma(grey), grey.shape), grey, factor)


def luma(grey: jax.Array) -> jax.Array:
    """Brightness of each pixel `[H, W, 1]`, rounded.

    Of three channels `0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601), in 16 bits as Pillow has
    it; of any other number their mean, so that one channel is its own.
    """
    if grey.shape[2] != 3:
        return jnp.floor(grey.mean(2, keepdims=True) + 0.5)
    # Whole numbers below 2^24 throughout, so float32 is exact. As a sum over channels it is made
    # once for each pixel, which read as three slices it would be for each channel: Color took
    # 1.8 us an image of 32 x 32 so, and 3.8 us.
    parts = (grey * jnp.array(WEIGHTS, grey.dtype)[None, None]).sum(2, keepdims=True)
    return jnp.floor((parts + 32768.0) / 65536.0)
