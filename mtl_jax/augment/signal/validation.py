"""Input validation of signal policies, and their working dtype."""

import jax
import jax.numpy as jnp


def require_signal(policy: object, signal: jax.Array) -> None:
    """Requires one signal of floats `[T, C]`, T times and C channels, of any range.

    Raises:
      ValueError: when traced, naming the policy and the actual input.
    """
    name = type(policy).__name__
    if signal.ndim != 2:
        raise ValueError(f"{name} takes one signal [T, C], not {signal.shape}: vmap it over more")
    if not jnp.issubdtype(signal.dtype, jnp.floating):
        raise ValueError(f"{name} takes a signal of floats, not {signal.dtype}: convert it first")


def promote(signal: jax.Array) -> jax.Array:
    """Casts a signal to a dtype precise enough for positions in time: at least float32."""
    return jnp.asarray(signal, signal.dtype if signal.dtype.itemsize >= 4 else jnp.float32)
