"""Vectors of length 1, with a gradient that is finite where there is no direction."""

import jax
import jax.numpy as jnp


def unit(vectors: jax.Array) -> jax.Array:
    """Vectors brought to length 1, `v / ||v||`.

    A vector whose largest entry is too small to divide by (below the dtype's smallest normal
    number over its epsilon) becomes 0 and has no gradient.

    Args:
      vectors: `[..., D]`.

    Returns:
      The same shape.
    """
    # Squares would underflow or overflow; the direction does not depend on the unit.
    size = jax.lax.stop_gradient(jnp.abs(vectors).max(-1, keepdims=True, initial=0.0))
    # Not `size > least`: NaN must stay NaN.
    none = size <= jnp.finfo(size.dtype).tiny / jnp.finfo(size.dtype).eps
    scaled = vectors / jnp.where(none, 1.0, size)
    squares = jnp.where(none, 1.0, jnp.square(scaled).sum(-1, keepdims=True))
    return jnp.where(none, 0.0, scaled * jax.lax.rsqrt(squares))
