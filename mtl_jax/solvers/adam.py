"""An Adam step on the variables that a method learns, such as task weights."""

import jax
import jax.numpy as jnp
import optax


def adam_step(
    values: jax.Array, gradient: jax.Array, moments: optax.OptState, learning_rate: float
) -> tuple[jax.Array, optax.OptState]:
    """One Adam step, with optax's default decay rates.

    Args:
      values: the variables, of any shape.
      gradient: their gradient, of the same shape and dtype.
      moments: `optax.adam(learning_rate).init(values)`, or the moments after the previous step.
      learning_rate: not negative.

    Returns:
      The next values and moments.
    """
    with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to an int power.
        updates, moments = optax.adam(learning_rate).update(gradient, moments)
    return values + jnp.asarray(updates), moments
