"""Proximal operators: exact steps on non-smooth norms, taken after a gradient step.

`prox(v, t) = argmin_x ||x - v||^2 / 2 + t * norm(x)`, for t >= 0. Where a gradient step only
shrinks values, a proximal step sets them exactly to zero. Matrices are `[K, D]`, with one row per
task and one column per parameter. All operators support `jit` and `vmap`, in float32 and float64; t
may be traced.

Reference: Parikh and Boyd, Proximal Algorithms, Foundations and Trends in Optimization 2014,
  Section 6 (https://doi.org/10.1561/2400000003).
"""

import jax
import jax.numpy as jnp


def prox_l1(values: jax.Array, t: float | jax.Array) -> jax.Array:
    """Proximal operator of `t * sum |x|`: soft thresholding by t.

    Args:
      values: array of any shape.
      t: weight of the norm, at least 0.

    Returns:
      `sign(v) max(|v| - t, 0)`, of the same shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> sharing.prox_l1(jnp.array([2.0, 0.25, -1.0]), 0.5).tolist()
      [1.5, 0.0, -0.5]
    """
    return jnp.sign(values) * jnp.maximum(jnp.abs(values) - t, 0.0)


def prox_l21(matrix: jax.Array, t: float | jax.Array) -> jax.Array:
    """Proximal operator of `t * sum_d ||x_d||_2` over the columns: their norms shrink by t.

    Args:
      matrix: `[K, D]`; a column holds one parameter of all tasks.
      t: weight of the norm, at least 0.

    Returns:
      `v_d max(1 - t / ||v_d||, 0)` `[K, D]`; zero columns stay zero.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> matrix = sharing.prox_l21(jnp.array([[3.0, 0.1], [4.0, 0.1]]), 0.5)
      >>> [[round(value, 2) for value in row] for row in matrix.tolist()]
      [[2.7, 0.0], [3.6, 0.0]]
    """
    largest = jnp.abs(matrix).max(0, keepdims=True)
    scale = jnp.where(largest > 0, largest, 1.0)  # Squares could underflow or overflow.
    norms = scale * jnp.sqrt(jnp.square(matrix / scale).sum(0, keepdims=True))
    new_norms = jnp.maximum(norms - t, 0.0)
    return matrix * (new_norms / jnp.where(norms > 0, norms, 1.0))


def prox_l1_inf(matrix: jax.Array, t: float | jax.Array) -> jax.Array:
    """Proximal operator of `t * sum_d max_t |x_td|` over the columns: clips their peaks.

    Column d is clipped at the level c >= 0 at which `sum_t (|v_td| - c)_+ = t`, or at 0 if the
    column's sum is smaller. With the magnitudes in descending order and s_j the sum of the first j,
    `c = max_j (s_j - t) / j`, since this is largest where the j greatest are clipped.

    Args:
      matrix: `[K, D]`; a column holds one parameter of all tasks.
      t: weight of the norm, at least 0.

    Returns:
      `[K, D]`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> sharing.prox_l1_inf(jnp.array([[3.0, 0.25], [4.0, 0.25]]), 1.0).tolist()
      [[3.0, 0.0], [3.0, 0.0]]
    """
    descending = jnp.sort(jnp.abs(matrix), axis=0, descending=True)
    counts = jnp.arange(1, len(matrix) + 1, dtype=matrix.dtype)[:, None]
    levels = (jnp.cumsum(descending, axis=0) - t) / counts
    level = jnp.maximum(levels.max(0, keepdims=True), 0.0)
    return jnp.clip(matrix, -level, level)


def prox_trace_norm(matrix: jax.Array, t: float | jax.Array) -> jax.Array:
    """Proximal operator of `t * ||X||_*`: soft-thresholds the singular values by t.

    It is a function of the whole matrix, so repeated singular values are unproblematic.

    Args:
      matrix: `[K, D]`.
      t: weight of the norm, at least 0.

    Returns:
      `U max(S - t, 0) V^T` `[K, D]`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import sharing
      >>> matrix = sharing.prox_trace_norm(jnp.ones((2, 2)), 1.0)
      >>> [[round(value, 2) for value in row] for row in matrix.tolist()]
      [[0.5, 0.5], [0.5, 0.5]]
    """
    u, s, v = jnp.linalg.svd(matrix, full_matrices=False)
    return jnp.matmul(u * jnp.maximum(s - t, 0.0)[None], v, precision="highest")
