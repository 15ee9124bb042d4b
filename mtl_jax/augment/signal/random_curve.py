"""Smooth random curves, that warp magnitudes and times."""

import functools

import jax
import jax.numpy as jnp
import numpy as np


def curves(key: jax.Array, like: jax.Array, sigma: float, knots: int, count: int) -> jax.Array:
    """Draws curves `[T, count]` about 1: cubic splines through draws of N(1, sigma^2).

    The draws lie at both ends and at `knots` places evenly between them.

    Args:
      key: a typed key `[]`.
      like: a signal `[T, C]`; the curves have its length and type.
      sigma: standard deviation of the draws.
      knots: places between the ends.
      count: how many curves.

    Returns:
      The curves; of sigma 0 they are 1.

    Reference: Um et al., Data Augmentation of Wearable Sensor Data for Parkinson's Disease
      Monitoring, ICMI 2017, its section on magnitude and time warping
      (https://arxiv.org/abs/1706.00527).
    """
    basis = jnp.asarray(spline_basis(like.shape[0], knots), like.dtype)
    return 1.0 + basis @ (sigma * jax.random.normal(key, (knots + 2, count), like.dtype))


@functools.cache
def spline_basis(length: int, knots: int) -> np.ndarray:
    """Values `[T, knots + 2]` of the splines that are 1 at one place and 0 at the others.

    A spline is linear in what it passes through, so the solving is done once on the host.
    """
    from scipy.interpolate import CubicSpline  # Slow to import.

    places = np.linspace(0.0, max(length - 1, 1), knots + 2)
    return CubicSpline(places, np.eye(knots + 2))(np.arange(length))
