"""Reading a signal at real times."""

import jax
import jax.numpy as jnp


def resampled(signal: jax.Array, places: jax.Array) -> jax.Array:
    """Reads a signal between its times, linearly.

    `(1 - r) signal[i] + r signal[i + 1]` with i the whole part of a place and r the rest.

    Args:
      signal: `[T, C]`.
      places: real times `[...]`, 0 the first and `T - 1` the last; others are clipped.

    Returns:
      `[..., C]`.
    """
    last = signal.shape[0] - 1
    places = places.clip(0.0, float(last))
    low = places.astype(jnp.int32)
    rest = (places - low.astype(places.dtype))[..., None]
    before = signal.at[low].get(mode="promise_in_bounds")
    after = signal.at[jnp.minimum(low + 1, last)].get(mode="promise_in_bounds")
    return before * (1.0 - rest) + after * rest


def stretched(signal: jax.Array, first: jax.Array, span: jax.Array) -> jax.Array:
    """Stretches the part from `first` `[]` to `first + span` `[]` to the whole length."""
    steps = max(signal.shape[0] - 1, 1)
    grid = jnp.arange(signal.shape[0]).astype(signal.dtype) / steps
    return resampled(signal, first + span * grid)
