"""Input validation of image policies, and conversion to gray levels."""

import jax
import jax.numpy as jnp


def require_image(policy: object, image: jax.Array | jax.ShapeDtypeStruct) -> None:
    """Requires one image `[H, W, C]` of floats in [0, 1] or of uint8.

    Raises:
      ValueError: when traced, naming the policy and the actual input.
    """
    name = type(policy).__name__
    if image.ndim != 3:
        raise ValueError(f"{name} takes one image [H, W, C], not {image.shape}: vmap it over more")
    if image.dtype != jnp.uint8 and not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(f"{name} takes an image of floats in [0, 1] or uint8, not {image.dtype}")


def require_images(policy: object, images: jax.Array) -> None:
    """Requires a batch of such images `[N, H, W, C]`.

    Raises:
      ValueError: when traced, naming the policy and the actual input.
    """
    require_image(policy, jax.ShapeDtypeStruct(images.shape[1:], images.dtype))


def as_floats(image: jax.Array) -> jax.Array:
    """Converts an image to floats in [0, 1], float64 if it was, else float32."""
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / 255.0
    return image if image.dtype.itemsize >= 4 else image.astype(jnp.float32)


def like(floats: jax.Array, image: jax.Array) -> jax.Array:
    """Converts floats in [0, 1] to the dtype of an image; for uint8 the nearest of 256 levels."""
    if image.dtype == jnp.uint8:
        return jnp.round(floats * 255.0).astype(jnp.uint8)
    return floats.astype(image.dtype)


def to_levels(image: jax.Array) -> jax.Array:
    """Gray levels of an image: integers 0..255 in float32; floats are rounded to the nearest."""
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32)
    return jnp.round(as_floats(image).astype(jnp.float32) * 255.0)


def from_levels(levels: jax.Array, image: jax.Array) -> jax.Array:
    """Converts gray levels to the dtype of an image: unchanged for uint8, else divided by 255."""
    if image.dtype == jnp.uint8:
        return levels.astype(jnp.uint8)
    return (levels / 255.0).astype(image.dtype)
