"""The door of every policy of signals: what counts as one, and in what type it is worked on."""

import jax
import jax.numpy as jnp


def require_signal(policy: object, signal: jax.Array) -> None:
    """Requires one signal of floats `[T, C]`, T times and C channels, of any range.

    Raises:
      ValueError: with the policy and what was given instead, when traced.
    """
    name = type(policy).__name__
    if signal.ndim != 2:
        raise ValueError(f"{name} takes one signal [T, C], not {signal.shape}: vmap it over more")
    if not jnp.issubdtype(signal.dtype, jnp.floating):
        raise ValueError(f"{name} takes a signal of floats, not {signal.dtype}: convert it first")


def widened(signal: jax.Array) -> jax.Array:
    """The signal in a type that holds places in time exactly enough: at least float32."""
    return jnp.asarray(signal, signal.dtype if signal.dtype.itemsize >= 4 else jnp.float32)
