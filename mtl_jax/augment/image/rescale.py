"""Rescale: zooms into an image by one of Pillow's resampling methods."""

import jax
import jax.numpy as jnp

METHODS = 6  # Lanczos, bicubic, bilinear, box, Hamming, nearest.


def rescale(gray: jax.Array, fraction: jax.Array, method: jax.Array) -> jax.Array:
    """Crops a fraction of each side and resizes the rest to the original size.

    Agrees with Pillow's `resize` of a crop at integer pixels, rows and columns each rounded. When
    an image grows, box and nearest are the same.

    Args:
      gray: gray levels `[H, W, C]`, integers 0..255 as floats.
      fraction: fraction cropped from each of the four sides, in [0, 0.5), `[]`.
      method: index in the order of `METHODS`, int32 `[]`.

    Returns:
      Gray levels `[H, W, C]`.
    """
    height, width, _ = gray.shape
    rows = weights(height, fraction, method, gray.dtype)
    columns = weights(width, fraction, method, gray.dtype)
    # Full precision: on an accelerator a product of matrices may round to 8 bits.
    gray = jnp.einsum("jx,hxc->hjc", columns, gray, precision="highest")
    gray = jnp.floor(gray + 0.5).clip(0.0, 255.0)
    gray = jnp.einsum("iy,ywc->iwc", rows, gray, precision="highest")
    return jnp.floor(gray + 0.5).clip(0.0, 255.0)


def weights(length: int, fraction: jax.Array, method: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Weights of the old pixels in each new one, `[new, old]`; rows sum to 1."""
    margin = jnp.round(fraction * length)
    pixels = jnp.arange(length).astype(dtype)
    centers = margin + (pixels + 0.5) * ((length - 2.0 * margin) / length)
    offset = (pixels + 0.5)[None] - centers[:, None]
    weight = jax.lax.select_n(method, *kernels(offset))
    inside = (pixels >= margin) & (pixels < length - margin)
    weight = jnp.where(inside[None], weight, 0.0)
    return weight / weight.sum(1, keepdims=True)


def kernels(offset: jax.Array) -> list[jax.Array]:
    """Kernel values of each method at offsets `[...]`."""
    distance = jnp.abs(offset)
    lanczos = jnp.where(distance < 3.0, jnp.sinc(distance) * jnp.sinc(distance / 3.0), 0.0)
    inner = 1.0 + distance**2 * (1.5 * distance - 2.5)
    outer = 2.0 + distance * (-4.0 + distance * (2.5 - 0.5 * distance))
    cubic = jnp.where(distance < 1.0, inner, jnp.where(distance < 2.0, outer, 0.0))
    linear = (1.0 - distance).clip(0.0)
    box = jnp.where((offset > -0.5) & (offset <= 0.5), 1.0, 0.0).astype(offset.dtype)
    window = 0.54 + 0.46 * jnp.cos(jnp.pi * distance)
    hamming = jnp.where(distance < 1.0, jnp.sinc(distance) * window, 0.0)
    return [lanczos, cubic, linear, box, hamming, box]
