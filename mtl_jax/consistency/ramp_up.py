"""Ramp-up of a loss over the first part of training: linear, or along a Gaussian."""

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs


def linear_ramp_up(loss: jax.Array, views: AuxInputs, ramp: float) -> jax.Array:
    """The loss times `min(1, t / (ramp T))`."""
    if ramp == 0.0:
        return loss
    return loss * jnp.minimum(views.progress / ramp, 1.0).astype(loss.dtype)


def gaussian_ramp_up(loss: jax.Array, views: AuxInputs, ramp: float) -> jax.Array:
    """The loss times `exp(-5 (1 - min(1, t / (ramp T)))^2)`; a ramp of 0 disables it.

    Reference: Laine and Aila, Temporal Ensembling, ICLR 2017, training details
      (https://arxiv.org/abs/1610.02242).
    """
    if ramp == 0.0:
        return loss
    remaining = 1.0 - jnp.minimum(views.progress / ramp, 1.0)
    return loss * jnp.exp(-5.0 * jnp.square(remaining)).astype(loss.dtype)
