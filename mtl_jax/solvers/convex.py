"""Solvers of small convex problems that are no quadratic programs: fair weights, a ball, a simplex.

All run under `jit` and `vmap`, in float32 and float64, like those of `mtl_jax.solvers.quadratic`: no
reverse-mode gradient flows through them, and a NaN or an infinity in the input makes the
whole output NaN.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.solvers.quadratic import (
    check_square,
    cosines,
    min_norm_point,
    newton_step,
    nonnegative_quadratic,
    product,
)


def fair_point(gram: jax.Array, power: float, gains: jax.Array) -> jax.Array:
    """The only `a > 0` with `Ga = c a^-p`, by Newton's method on a convex potential.

    It minimises `a'Ga / 2 - sum_i c_i phi(a_i)` with `phi'(a) = a^-p`; phi is the logarithm for
    p = 1. With u the Newton step relative to a, its matrix `a_i G_ij a_j + p c_i a_i^(1-p)` is
    well conditioned near the solution however long or parallel the gradients are. Steps are cut
    to `1 / (1 + (1 + p) m)`, where m is the largest fall of `u`: this bounds how much the
    curvature can grow on the way, so that every step goes down without a search along the line.

    G gets a ridge of 32 epsilon times its diagonal: opposed gradients have no finite solution.

    Args:
      gram: G, `[K, K]`.
      power: p, positive.
      gains: c, positive, `[K]`.

    Returns:
      The weights a, `[K]`. A zero gradient gets 0, as no weight solves its row; if all are zero,
      all get 1/K. At the end `a_i |(Ga)_i - c_i a_i^-p|` is at most 1e-5 (float32; float64:
      1e-10) times `a_i (|G|a)_i + c_i a_i^(1-p)`.

    Raises:
      AssertionError: for another shape or dtype, when traced.
    """
    check_square(gram)
    chex.assert_shape(gains, gram.shape[:1])
    squares = jnp.diagonal(gram)
    unit, lengths = cosines(gram)
    there = ~(lengths == 0) & ~(squares < jnp.finfo(gram.dtype).tiny)
    lengths = jnp.where(there, lengths, 1.0)
    unit = jnp.where(there[:, None] & there[None, :], unit, 0.0)
    # The rows of zero gradients become `a = c / a^p`, and are thrown away at the end.
    unit = jnp.where(jnp.eye(len(gram), dtype=bool), 1.0, unit)
    point = newton(unit, power, gains, lengths) / lengths
    point = point * jnp.where(there.any(), squares.max(), 1.0) ** (-1.0 / (1.0 + power))
    point = jnp.where(there.any(), jnp.where(there, point, 0.0), 1.0 / len(gram))
    return jnp.where(jnp.isfinite(gram).all() & jnp.isfinite(gains).all(), point, jnp.nan)


class Newton(NamedTuple):
    """Where the damped Newton method stands."""

    point: jax.Array  # [K]
    ridge: jax.Array
    size: jax.Array  # of the last relative step
    steps: jax.Array
    done: jax.Array


def newton(unit: jax.Array, power: float, gains: jax.Array, lengths: jax.Array) -> jax.Array:
    """Solves `Cb = c s^(p-1) b^-p` for `b > 0`; C has a unit diagonal, s are the lengths `[K]`."""
    point = apart(power, gains, lengths)
    level = jnp.vdot(point, product(unit, point)) / (point**2).sum()
    point = point * jnp.maximum(level, 0.1) ** (-1.0 / (1.0 + power))
    ridge = jnp.asarray(32 * jnp.finfo(point.dtype).eps, point.dtype)
    size = jnp.asarray(jnp.inf, point.dtype)
    return jax.lax.while_loop(
        lambda now: ~now.done & (now.steps < 200),
        lambda now: damped_step(unit, power, gains, lengths, now),
        Newton(point, ridge, size, jnp.int32(0), jnp.bool_(False)),
    ).point


def apart(power: float, gains: jax.Array, lengths: jax.Array) -> jax.Array:
    """The answer `[K]` for orthogonal gradients, `(c s^(p-1))^(1/(1+p))`."""
    if power <= 2.0:
        return (gains * lengths ** (power - 1.0)) ** (1.0 / (1.0 + power))
    # A large power of a small length underflows.
    return gains ** (1.0 / (1.0 + power)) * lengths ** ((power - 1.0) / (1.0 + power))


def damped_step(unit, power, gains, lengths, now: Newton) -> Newton:
    """One step down; a matrix without a factor is tried again with a larger ridge."""
    point, epsilon = now.point, jnp.finfo(now.point.dtype).eps
    pull, push = forces(unit, power, gains, lengths, now.ridge, point)
    scale = jnp.sqrt((1.0 + now.ridge) * point**2 + power * pull)
    inside = point / scale
    matrix = unit * inside[:, None] * inside[None, :]
    matrix = jnp.where(jnp.eye(len(point), dtype=bool), 1.0, matrix)
    factor = jax.scipy.linalg.cho_factor(matrix)
    step = jax.scipy.linalg.cho_solve(factor, (pull - push) / scale) / scale
    solved = jnp.isfinite(step).all()
    step = jnp.where(solved, step, 0.0)
    size = jnp.abs(step).max()
    noise = 24 * epsilon * (pull + point * product(jnp.abs(unit), point))
    stuck = (jnp.abs(pull - push) <= noise).all() & (size >= 0.5 * now.size)
    small = size <= jnp.sqrt(epsilon) / (4.0 + power)  # Then the next error is its square.
    part = reach(unit, power, gains, lengths, now.ridge, point, step)
    return Newton(
        point=point * (1.0 + part * step),
        ridge=jnp.where(solved, now.ridge, 8 * now.ridge),
        size=jnp.where(solved, size, jnp.inf),
        steps=now.steps + 1,
        done=solved & (small | stuck),
    )


def reach(unit, power, gains, lengths, ridge, point, step) -> jax.Array:
    """Which part of a step to take, so that the potential falls.

    `1 / (1 + (1 + p) m)`, with m the largest relative fall, always will do: it bounds how much
    the curvature can grow on the way. Of eight longer ones the longest is taken at whose end
    the potential still falls; being convex, it then fell all the way.
    """
    fall = jnp.maximum(-step.min(), 0.0)
    sure = 1.0 / (1.0 + (1.0 + power) * fall)
    longest = jnp.minimum(1.0, 0.99 / jnp.maximum(fall, 0.5))
    parts = sure * (longest / sure) ** jnp.linspace(0.0, 1.0, 9, dtype=point.dtype)

    def slope(part):
        end = point * (1.0 + part * step)
        pull, push = forces(unit, power, gains, lengths, ridge, end)
        return jnp.vdot(step / (1.0 + part * step), push - pull)

    return jnp.where(jax.vmap(slope)(parts) <= 0, parts, sure).max()


def forces(unit, power, gains, lengths, ridge, point) -> tuple[jax.Array, jax.Array]:
    """Both sides of `b_i (Cb)_i = c_i (b_i / s_i)^(1-p)`: the right one, and the left."""
    pull = gains * (point / lengths) ** (1.0 - power)
    return pull, point * (product(unit, point) + ridge * point)


def ball_point(gram: jax.Array, radius: float) -> jax.Array:
    """Weights of the vector near the mean gradient that serves the worst task best.

    `d = sum_i a_i g_i` maximises `min_i <g_i, d>` over `||d - g_0|| <= c ||g_0||`, with g_0 the
    mean. Its optimality: `a = 1/K + x`, `x >= 0`, and some t with `Ga >= t`, `= t` where `x > 0`.
    For a given t such an x solves a nonnegative quadratic problem, and `x'Gx` grows with t. So t
    is searched for where it is `c^2 ||g_0||^2`, by Newton's method on the tasks with `x > 0`,
    whose x is linear in t, inside a bracket. If no t reaches that far (zero is a convex
    combination of the gradients), the last one is taken, and the ball's bound is slack.

    G gets a ridge of 16 epsilon times its diagonal, which makes x unique and bounded.

    Args:
      gram: G, `[K, K]`.
      radius: c, at least 0.

    Returns:
      The weights a, `[K]`, at least 1/K each.

    Raises:
      AssertionError: for another shape or dtype, when traced.
    """
    check_square(gram)
    unit, lengths = cosines(gram)
    there = ~(lengths == 0)
    ridge = jnp.where(there, 16 * jnp.finfo(gram.dtype).eps, 1.0)
    unit = unit + jnp.diag(ridge)
    inner = product(unit, lengths) / len(gram)  # with the mean, over the row's own length
    length = radius * jnp.sqrt(jnp.vdot(lengths, inner) / len(gram))
    mean = jnp.where(there, lengths * inner, 0.0)
    inverse = jnp.where(there, 1.0 / jnp.where(there, lengths, 1.0), 1.0)
    nearest = min_norm_point(unit * lengths[:, None] * lengths[None, :])
    reached = nearest * lengths
    most = jnp.vdot(nearest, mean) + length * jnp.sqrt(
        jnp.maximum(jnp.vdot(reached, product(unit, reached)), 0.0)
    )
    x = level_search(unit, inner, inverse, length, mean.min(), most)
    weights = jnp.where(there, x * inverse, 0.0) + 1.0 / len(gram)
    return jnp.where(jnp.isfinite(gram).all(), weights, jnp.nan)


class Level(NamedTuple):
    """Where the search for the level t stands."""

    point: jax.Array  # [K]
    level: jax.Array
    low: jax.Array
    high: jax.Array
    steps: jax.Array
    done: jax.Array


def level_search(matrix, inner, inverse, length, low, high) -> jax.Array:
    """The x `[K]` that minimises `x'Ax / 2 - (t v - q)'x` over `x >= 0`, with `x'Ax = r^2`.

    A is the matrix, q is inner, v inverse, r the length; t lies between low and high.
    """
    epsilon = jnp.finfo(length.dtype).eps

    def step(now):
        point = nonnegative_quadratic(matrix, now.level * inverse - inner)
        square = jnp.vdot(point, product(matrix, point))
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
        return Level(point, level, low, high, now.steps + 1, there | end | narrow)

    start = Level(jnp.zeros_like(inner), high, low, high, jnp.int32(0), length <= 0)
    return jax.lax.while_loop(lambda now: ~now.done & (now.steps < 64), step, start).point


def project_simplex(point: jax.Array) -> jax.Array:
    """The nearest point of the simplex, `argmin ||w - x||` over `w >= 0, sum w = 1`.

    `w = max(x - t, 0)`, with t from the sorted entries.

    Args:
      point: x, `[K]`.

    Returns:
      The point w, `[K]`.

    Reference: Held, Wolfe and Crowder, Validation of Subgradient Optimization, 1974.
    """
    chex.assert_rank(point, 1)
    below = point - point.max()  # t lies within 1 of the largest, however large that is.
    falling = -jnp.sort(-below)
    counts = jnp.arange(1, len(point) + 1, dtype=point.dtype)
    levels = (jnp.cumsum(falling) - 1.0) / counts
    last = jnp.sum(falling > levels) - 1
    weights = jnp.maximum(below - levels[last], 0.0)
    return jnp.where(jnp.isfinite(point).all(), weights, jnp.nan)
