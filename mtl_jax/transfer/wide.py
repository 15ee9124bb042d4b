"""Half precision raised to single: for what half precision cannot be told from its rounding."""

import jax
import jax.numpy as jnp


def wide(array: jax.Array) -> jax.Array:
    """The array in float32, if it is of fewer bits, else as it is."""
    return array if jnp.finfo(array.dtype).bits >= 32 else array.astype(jnp.float32)
