"""Smooth random curves for warping magnitudes and times."""

import functools

import jax
import jax.numpy as jnp
import numpy as np


def sample_curves(
    key: jax.Array, like: jax.Array, sigma: float, knots: int, count: int
) -> jax.Array:
    """Samples curves `[T, count]` about 1: cubic splines through samples of N(1, sigma^2).

    The samples are placed at both ends and at `knots` positions evenly between them.

    Args:
      key: a typed key `[]`.
      like: a signal `[T, C]`; the curves have its length and dtype.
      sigma: standard deviation of the samples.
      knots: number of knots between the ends.
      count: number of curves.

    Returns:
      The curves; for sigma 0 they are 1.

    Reference: Um et al., Data Augmentation of Wearable Sensor Data for Parkinson's Disease
      Monitoring, ICMI 2017, its section on magnitude and time warping
      (https://arxiv.org/abs/1706.00527).
    """
    basis = jnp.asarray(spline_basis(like.shape[0], knots), like.dtype)
    return 1.0 + basis @ (sigma * jax.random.normal(key, (knots + 2, count), like.dtype))


@functools.cache
def spline_basis(length: int, knots: int) -> np.ndarray:
    """Values `[T, knots + 2]` of the splines that are 1 at one knot and 0 at the others.

    A spline is linear in its values at the knots, so it is solved once on the host.
    """
    from scipy.interpolate import CubicSpline  # Slow to import.

    knot_times = np.linspace(0.0, max(length - 1, 1), knots + 2)
    return CubicSpline(knot_times, np.eye(knots + 2))(np.arange(length))
