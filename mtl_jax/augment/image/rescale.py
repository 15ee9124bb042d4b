"""Rescale: zooms into an image by one of Pillow's resampling methods."""

import jax
import jax.numpy as jnp

METHODS = 6  # Lanczos, bicubic, bilinear, box, Hamming, nearest.


def rescale(grey: jax.Array, share: jax.Array, method: jax.Array) -> jax.Array:
    """Crops a fraction of each side and resizes the rest to the original size.

    Agrees with Pillow's `resize` of a crop at integer pixels, rows and columns each rounded. When
    an image grows, box and nearest are the same.

    Args:
      grey: grey levels `[H, W, C]`, integers 0..255 as floats.
      share: fraction cropped from each of the four sides, in [0, 0.5), `[]`.
      method: index in the order of `METHODS`, int32 `[]`.

    Returns:
      Grey levels `[H, W, C]`.
    """
    height, width, _ = grey.shape
    rows = weights(height, share, method, grey.dtype)
    columns = weights(width, share, method, grey.dtype)
    # Full precision: on an accelerator a product of matrices may round to 8 bits.
    grey = jnp.einsum("jx,hxc->hjc", columns, grey, precision="highest")
    grey = jnp.floor(grey + 0.5).clip(0.0, 255.0)
    grey = jnp.einsum("iy,ywc->iwc", rows, grey, precision="highest")
    return jnp.floor(grey + 0.5).clip(0.0, 255.0)


def weights(length: int, share: jax.Array, method: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Weights of the old pixels in each new one, `[new, old]`; rows sum to 1."""
    cut = jnp.round(share * length)
    places = jnp.arange(length).astype(dtype)
    middle = cut + (places + 0.5) * ((length - 2.0 * cut) / length)
    apart = (places + 0.5)[None] - middle[:, None]
    found = jax.lax.select_n(method, *kernels(apart))
    inside = (places >= cut) & (places < length - cut)
    found = jnp.where(inside[None], found, 0.0)
    return found / found.sum(1, keepdims=True)


def kernels(apart: jax.Array) -> list[jax.Array]:
    """Kernel values of each method at distances `[...]`."""
    far = jnp.abs(apart)
    lanczos = jnp.where(far < 3.0, jnp.sinc(far) * jnp.sinc(far / 3.0), 0.0)
    near = 1.0 + far**2 * (1.5 * far - 2.5)
    next_one = 2.0 + far * (-4.0 + far * (2.5 - 0.5 * far))
    cubic = jnp.where(far < 1.0, near, jnp.where(far < 2.0, next_one, 0.0))
    linear = (1.0 - far).clip(0.0)
    box = jnp.where((apart > -0.5) & (apart <= 0.5), 1.0, 0.0).astype(apart.dtype)
    window = 0.54 + 0.46 * jnp.cos(jnp.pi * far)
    hamming = jnp.where(far < 1.0, jnp.sinc(far) * window, 0.0)
    return [lanczos, cubic, linear, box, hamming, box]
