"""How a loss grows over the first part of the training: in a line, or along a Gaussian."""

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import Views


def ramped(loss: jax.Array, views: Views, ramp: float) -> jax.Array:
    """The loss as it grows: `min(1, t / (ramp T))` times it."""
    if ramp == 0.0:
        return loss
    return loss * jnp.minimum(views.progress / ramp, 1.0).astype(loss.dtype)


def gaussian_ramped(loss: jax.Array, views: Views, ramp: float) -> jax.Array:
    """The loss as it grows: `exp(-5 (1 - min(1, t / (ramp T)))^2)` times it; a ramp of 0 is none.

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, training details
      (https://arxiv.org/abs/1610.02242).
    """
    if ramp == 0.0:
        return loss
    left = 1.0 - jnp.minimum(views.progress / ramp, 1.0)
    return loss * jnp.exp(-5.0 * jnp.square(left)).astype(loss.dtype)
