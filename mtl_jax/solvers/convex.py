"""Solvers for small convex problems: alpha-fair weights, CAGrad, projection onto the simplex.

As in `mtl_jax.solvers.quadratic`: under `jit` and `vmap`, in float32 and float64, without
reverse-mode differentiation, all NaN for an input with a NaN or an infinity.
"""

from typing import NamedTuple

import chex
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


def solve_alpha_fair(gram: jax.Array, power: float, gains: jax.Array) -> jax.Array:
    """Solves `Ga = c a^-p` for its unique `a > 0`, by Newton's method on a convex potential.

    It minimises `a'Ga / 2 - sum_i c_i phi(a_i)` with `phi'(a) = a^-p`; phi is the logarithm for
    p = 1. With u the Newton step relative to a, its matrix `a_i G_ij a_j + p c_i a_i^(1-p)` is
    well conditioned near the solution whatever the norms and angles of the gradients. Steps are
    damped to `1 / (1 + (1 + p) m)`, where m is the largest decrease in `u`: this bounds the
    growth of the curvature along the step, so every step descends without a line search.

    A ridge of 32 epsilon times its diagonal is added to G, as opposed gradients have no finite
    solution. A zero gradient gets weight 0, as no weight solves its row; if all are zero, 1/K.

    Args:
      gram: the Gram matrix G, `[K, K]`.
      power: p, positive.
      gains: c, positive, `[K]`.

    Returns:
      The weights a, `[K]`. On exit `a_i |(Ga)_i - c_i a_i^-p|` is at most 1e-5 (float32; 1e-10 in
      float64) times `a_i (|G|a)_i + c_i a_i^(1-p)`.

    Raises:
      AssertionError: at trace time, for another shape or dtype.
    """
    check_square(gram)
    chex.assert_shape(gains, gram.shape[:1])
    squares = jnp.diagonal(gram)
    unit, lengths = cosines(gram)
    there = ~(lengths == 0) & ~(squares < jnp.finfo(gram.dtype).tiny)
    lengths = jnp.where(there, lengths, 1.0)
    unit = jnp.where(there[:, None] & there[None, :], unit, 0.0)
    # The rows of zero gradients become `a = c / a^p`, and are discarded at the end.
    unit = jnp.where(jnp.eye(len(gram), dtype=bool), 1.0, unit)
    point = newton(unit, power, gains, lengths) / lengths
    point = point * jnp.where(there.any(), squares.max(), 1.0) ** (-1.0 / (1.0 + power))
    point = jnp.where(there.any(), jnp.where(there, point, 0.0), 1.0 / len(gram))
    return jnp.where(jnp.isfinite(gram).all() & jnp.isfinite(gains).all(), point, jnp.nan)


class Newton(NamedTuple):
    """State of the damped Newton method."""

    point: jax.Array  # [K]
    ridge: jax.Array
    size: jax.Array  # largest entry of the last relative step
    steps: jax.Array
    done: jax.Array


def newton(unit: jax.Array, power: float, gains: jax.Array, lengths: jax.Array) -> jax.Array:
    """Solves `Cb = c s^(p-1) b^-p` for `b > 0`; C has a unit diagonal, s are the norms `[K]`."""
    point = solve_orthogonal(power, gains, lengths)
    level = jnp.vdot(point, matvec(unit, point)) / (point**2).sum()
    point = point * jnp.maximum(level, 0.1) ** (-1.0 / (1.0 + power))
    ridge = jnp.asarray(32 * jnp.finfo(point.dtype).eps, point.dtype)
    size = jnp.asarray(jnp.inf, point.dtype)
    return jax.lax.while_loop(
        lambda now: ~now.done & (now.steps < 200),
        lambda now: damped_step(unit, power, gains, lengths, now),
        Newton(point, ridge, size, jnp.int32(0), jnp.bool_(False)),
    ).point


def solve_orthogonal(power: float, gains: jax.Array, lengths: jax.Array) -> jax.Array:
    """The solution `[K]` for orthogonal gradients, `(c s^(p-1))^(1/(1+p))`."""
    if power <= 2.0:
        return (gains * lengths ** (power - 1.0)) ** (1.0 / (1.0 + power))
    # A large power of a small norm underflows.
    return gains ** (1.0 / (1.0 + power)) * lengths ** ((power - 1.0) / (1.0 + power))


def damped_step(unit, power, gains, lengths, now: Newton) -> Newton:
    """One damped Newton step; if the factorization fails, it is retried with a larger ridge."""
    point, epsilon = now.point, jnp.finfo(now.point.dtype).eps
    pull, push = residual_sides(unit, power, gains, lengths, now.ridge, point)
    scale = jnp.sqrt((1.0 + now.ridge) * point**2 + power * pull)
    inside = point / scale
    matrix = unit * inside[:, None] * inside[None, :]
    matrix = jnp.where(jnp.eye(len(point), dtype=bool), 1.0, matrix)
    factor = jax.scipy.linalg.cho_factor(matrix)
    step = jax.scipy.linalg.cho_solve(factor, (pull - push) / scale) / scale
    solved = jnp.isfinite(step).all()
    step = jnp.where(solved, step, 0.0)
    size = jnp.abs(step).max()
    noise = 24 * epsilon * (pull + point * matvec(jnp.abs(unit), point))
    stuck = (jnp.abs(pull - push) <= noise).all() & (size >= 0.5 * now.size)
    small = size <= jnp.sqrt(epsilon) / (4.0 + power)  # The remaining error is its square.
    part = step_size(unit, power, gains, lengths, now.ridge, point, step)
    return Newton(
        point=point * (1.0 + part * step),
        ridge=jnp.where(solved, now.ridge, 8 * now.ridge),
        size=jnp.where(solved, size, jnp.inf),
        steps=now.steps + 1,
        done=solved & (small | stuck),
    )


def step_size(unit, power, gains, lengths, ridge, point, step) -> jax.Array:
    """Step size at which the potential decreases.

    `1 / (1 + (1 + p) m)`, with m the largest relative decrease of a weight, always does: it bounds
    the growth of the curvature along the step. Of eight larger candidates, the largest at which
    the potential is still decreasing is used; by convexity it decreases along the whole step.
    """
    fall = jnp.maximum(-step.min(), 0.0)
    sure = 1.0 / (1.0 + (1.0 + power) * fall)
    longest = jnp.minimum(1.0, 0.99 / jnp.maximum(fall, 0.5))
    parts = sure * (longest / sure) ** jnp.linspace(0.0, 1.0, 9, dtype=point.dtype)

    def slope(part):
        end = point * (1.0 + part * step)
        pull, push = residual_sides(unit, power, gains, lengths, ridge, end)
        return jnp.vdot(step / (1.0 + part * step), push - pull)

    return jnp.where(jax.vmap(slope)(parts) <= 0, parts, sure).max()


def residual_sides(unit, power, gains, lengths, ridge, point) -> tuple[jax.Array, jax.Array]:
    """The right-hand and left-hand side of `b_i (Cb)_i = c_i (b_i / s_i)^(1-p)`, in this order."""
    pull = gains * (point / lengths) ** (1.0 - power)
    return pull, point * (matvec(unit, point) + ridge * point)


def solve_cagrad(gram: jax.Array, radius: float) -> jax.Array:
    """CAGrad weights: the update near the mean gradient that is best for the worst task.

    `d = sum_i a_i g_i` maximises `min_i <g_i, d>` over `||d - g_0|| <= c ||g_0||`, with g_0 the
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
    """
    check_square(gram)
    unit, lengths = cosines(gram)
    there = ~(lengths == 0)
    ridge = jnp.where(there, 16 * jnp.finfo(gram.dtype).eps, 1.0)
    unit = unit + jnp.diag(ridge)
    inner = matvec(unit, lengths) / len(gram)  # <g_i, g_0> / ||g_i||
    length = radius * jnp.sqrt(jnp.vdot(lengths, inner) / len(gram))
    mean = jnp.where(there, lengths * inner, 0.0)
    inverse = jnp.where(there, 1.0 / jnp.where(there, lengths, 1.0), 1.0)
    nearest = min_norm_point(unit * lengths[:, None] * lengths[None, :])
    reached = nearest * lengths
    most = jnp.vdot(nearest, mean) + length * jnp.sqrt(
        jnp.maximum(jnp.vdot(reached, matvec(unit, reached)), 0.0)
    )
    x = level_search(unit, inner, inverse, length, mean.min(), most)
    weights = jnp.where(there, x * inverse, 0.0) + 1.0 / len(gram)
    return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan)


class LevelSearchState(NamedTuple):
    """State of the search for the level t."""

    point: jax.Array  # [K]
    level: jax.Array
    low: jax.Array
    high: jax.Array
    steps: jax.Array
    done: jax.Array


def level_search(matrix, inner, inverse, length, low, high) -> jax.Array:
    """Finds x `[K]` that minimises `x'Ax / 2 - (t v - q)'x` over `x >= 0`, with `x'Ax = r^2`.

    A is the matrix, q is inner, v inverse, r the length; t lies between low and high.
    """
    epsilon = jnp.finfo(length.dtype).eps

    def step(now):
        point = solve_nonneg_qp(matrix, now.level * inverse - inner)
        square = jnp.vdot(point, matvec(matrix, point))
        missing = length**2 - square
        low = jnp.where(missing > 0, now.level, now.low)
        high = jnp.where(missing > 0, now.high, now.level)
        free = point > 0
        slope = newton_step(matrix, inverse, free, jnp.asarray(16 * epsilon, length.dtype))
        slope = jnp.where(free, slope, 0.0)
        bend, rise = jnp.vdot(slope, jnp.where(free, inverse, 0.0)), jnp.vdot(point, inverse)
        root = jnp.sqrt(jnp.maximum(rise**2 + bend * missing, 0.0))
        level = now.level + missing / (rise + root)
        inside = (level > low) & (level < high)
        level = jnp.where(inside, level, 0.5 * (low + high))
        there = jnp.abs(missing) <= 32 * epsilon * length**2
        end = (missing >= 0) & (now.level >= now.high)
        narrow = high - low <= 4 * epsilon * jnp.maximum(jnp.abs(low), jnp.abs(high))
        return LevelSearchState(point, level, low, high, now.steps + 1, there | end | narrow)

    start = LevelSearchState(jnp.zeros_like(inner), high, low, high, jnp.int32(0), length <= 0)
    return jax.lax.while_loop(lambda now: ~now.done & (now.steps < 64), step, start).point


def project_simplex(point: jax.Array) -> jax.Array:
    """Euclidean projection onto the simplex, `argmin ||w - x||` over `w >= 0, sum w = 1`.

    `w = max(x - t, 0)`, with t computed from the sorted entries.

    Args:
      point: x, `[K]`.

    Returns:
      The projection w, `[K]`.

    Reference: Held, Wolfe and Crowder, Validation of Subgradient Optimization, 1974.
    """
    chex.assert_rank(point, 1)
    below = point - point.max()  # For accuracy: t is within 1 of the maximum, however large.
    falling = -jnp.sort(-below)
    counts = jnp.arange(1, len(point) + 1, dtype=point.dtype)
    levels = (jnp.cumsum(falling) - 1.0) / counts
    last = jnp.sum(falling > levels) - 1
    weights = jnp.maximum(below - levels[last], 0.0)
    return jnp.where(jnp.isfinite(point).all(), weights, jnp.nan)
