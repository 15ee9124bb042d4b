"""The door of every policy: what counts as an image."""

import jax
import jax.numpy as jnp


def require_image(policy: object, image: jax.Array) -> None:
    """Requires one image of floats `[H, W, C]`.

    Raises:
      ValueError: with the policy and what was given instead, when traced.
    """
    name = type(policy).__name__
    if image.ndim != 3:
        raise ValueError(f"{name} takes one image [H, W, C], not {image.shape}: vmap it over more")
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(
            f"{name} takes an image of floats in [0, 1], not {image.dtype}: "
            f"convert it first, image.astype('float32') / 255"
        )
