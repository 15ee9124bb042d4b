"""Reading a signal at real-valued times."""

import jax
import jax.numpy as jnp


def resample(signal: jax.Array, times: jax.Array) -> jax.Array:
    """Interpolates a signal linearly between its times.

    `(1 - r) signal[i] + r signal[i + 1]` with i the integer part of a position and r the rest.

    Args:
      signal: `[T, C]`.
      times: real-valued times `[...]`, 0 the first and `T - 1` the last; others are clipped.

    Returns:
      `[..., C]`.
    """
    last = signal.shape[0] - 1
    times = times.clip(0.0, float(last))
    index = times.astype(jnp.int32)
    fraction = (times - index.astype(times.dtype))[..., None]
    before = signal.at[index].get(mode="promise_in_bounds")
    after = signal.at[jnp.minimum(index + 1, last)].get(mode="promise_in_bounds")
    return before * (1.0 - fraction) + after * fraction


def stretch(signal: jax.Array, start: jax.Array, span: jax.Array | float) -> jax.Array:
    """Stretches the part from `start` `[]` to `start + span` `[]` to the full length."""
    steps = max(signal.shape[0] - 1, 1)
    grid = jnp.arange(signal.shape[0]).astype(signal.dtype) / steps
    return resample(signal, start + span * grid)
