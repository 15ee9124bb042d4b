"""Reading a signal at real-valued times."""

import jax
import jax.numpy as jnp


def resample(signal: jax.Array, places: jax.Array) -> jax.Array:
    """Interpolates a signal linearly between its times.

    `(1 - r) signal[i] + r signal[i + 1]` with i the integer part of a position and r the rest.

    Args:
      signal: `[T, C]`.
      places: real-valued times `[...]`, 0 the first and `T - 1` the last; others are clipped.

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
    """Stretches the part from `first` `[]` to `first + span` `[]` to the full length."""
    steps = max(signal.shape[0] - 1, 1)
    grid = jnp.arange(signal.shape[0]).astype(signal.dtype) / steps
    return resample(signal, first + span * grid)
