"""The convex problem of CAGrad.

As in `mtl_jax.solvers.quadratic`: under `jit` and `vmap`, in float32 and float64, without
reverse-mode differentiation, all NaN for an input with a NaN or an infinity.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.solvers.quadratic import (
    check_square,
    cosines,
    matvec,
    min_norm_point,
    newton_step,
    solve_nonneg_qp,
)


def solve_cagrad(gram: jax.Array, radius: float) -> jax.Array:
    """CAGrad weights: the update near the mean gradient that is best for the worst task.

    `d = sum_i a_i g_i` maximizes `min_i <g_i, d>` over `||d - g_0|| <= c ||g_0||`, with g_0 the
    mean. The optimality conditions are `a = 1/K + x`, `x >= 0`, and some t with `Ga >= t`, `= t`
    where `x > 0`. For a given t, x solves a nonnegative quadratic program, and `x'Gx` increases
    with t. So t is solved for with `x'Gx = c^2 ||g_0||^2`, by a bracketed Newton's method on the
    tasks with `x > 0`, whose x is linear in t. If no t attains this value (zero is a convex
    combination of the gradients), the upper end of the bracket is used, and the constraint is
    slack.

    A ridge of 16 epsilon times its diagonal is added to G, which makes x unique and bounded.

    Args:
      gram: the Gram matrix G, `[K, K]`.
      radius: c, at least 0.

    Returns:
      The weights a, `[K]`, at least 1/K each.

    Raises:
      AssertionError: at trace time, for another shape or dtype.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import solvers
      >>> gram = jnp.array([[4.0, -1.0], [-1.0, 1.0]])
      >>> weights = jax.jit(solvers.solve_cagrad)(gram, 0.5)
      >>> [round(value, 2) for value in weights.tolist()]
      [0.5, 0.93]
    """
    check_square(gram)
    cosine, norms = cosines(gram)
    nonzero = ~(norms == 0)
    ridge = jnp.where(nonzero, 16 * jnp.finfo(gram.dtype).eps, 1.0)
    cosine = cosine + jnp.diag(ridge)
    inner = matvec(cosine, norms) / len(gram)  # <g_i, g_0> / ||g_i||
    ball_radius = radius * jnp.sqrt(jnp.vdot(norms, inner) / len(gram))
    mean_inner = jnp.where(nonzero, norms * inner, 0.0)  # <g_i, g_0>
    inverse = jnp.where(nonzero, 1.0 / jnp.where(nonzero, norms, 1.0), 1.0)
    min_norm = min_norm_point(cosine * norms[:, None] * norms[None, :])
    scaled = min_norm * norms
    upper = jnp.vdot(min_norm, mean_inner) + ball_radius * jnp.sqrt(
        jnp.maximum(jnp.vdot(scaled, matvec(cosine, scaled)), 0.0)
    )
    x = level_search(cosine, inner, inverse, ball_radius, mean_inner.min(), upper)
    weights = jnp.where(nonzero, x * inverse, 0.0) + 1.0 / len(gram)
    return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan)


class LevelSearchState(NamedTuple):
    """State of the search for the level t."""

    point: jax.Array  # [K]
    level: jax.Array
    low: jax.Array
    high: jax.Array
    steps: jax.Array
    done: jax.Array


def level_search(
    matrix: jax.Array,
    inner: jax.Array,
    inverse: jax.Array,
    radius: jax.Array,
    low: jax.Array,
    high: jax.Array,
) -> jax.Array:
    """Finds x `[K]` that minimizes `x'Ax / 2 - (t v - q)'x` over `x >= 0`, with `x'Ax = r^2`.

    A is the matrix, q is inner, v inverse, r the radius; t lies between low and high.
    """
    epsilon = jnp.finfo(radius.dtype).eps

    def step(state: LevelSearchState) -> LevelSearchState:
        point = solve_nonneg_qp(matrix, state.level * inverse - inner)
        gap = radius**2 - jnp.vdot(point, matvec(matrix, point))
        low = jnp.where(gap > 0, state.level, state.low)
        high = jnp.where(gap > 0, state.high, state.level)
        free = point > 0
        derivative = newton_step(matrix, inverse, free, jnp.asarray(16 * epsilon, radius.dtype))
        derivative = jnp.where(free, derivative, 0.0)
        # The square of the norm is quadratic in t; the level is the root of its difference to r^2.
        quadratic = jnp.vdot(derivative, jnp.where(free, inverse, 0.0))
        linear = jnp.vdot(point, inverse)
        root = jnp.sqrt(jnp.maximum(linear**2 + quadratic * gap, 0.0))
        level = state.level + gap / (linear + root)
        in_bracket = (level > low) & (level < high)
        level = jnp.where(in_bracket, level, 0.5 * (low + high))
        converged = jnp.abs(gap) <= 32 * epsilon * radius**2
        at_end = (gap >= 0) & (state.level >= state.high)
        narrow = high - low <= 4 * epsilon * jnp.maximum(jnp.abs(low), jnp.abs(high))
        done = converged | at_end | narrow
        return LevelSearchState(point, level, low, high, state.steps + 1, done)

    start = LevelSearchState(jnp.zeros_like(inner), high, low, high, jnp.int32(0), radius <= 0)
    return jax.lax.while_loop(lambda state: ~state.done & (state.steps < 64), step, start).point
