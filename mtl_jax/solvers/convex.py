"""Solvers for small convex problems: alpha-fair weights and the projection onto the simplex.

As in `mtl_jax.solvers.quadratic`: under `jit` and `vmap`, in float32 and float64, without
reverse-mode differentiation, all NaN for an input with a NaN or an infinity.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.solvers.quadratic import check_square, cosines, matvec


def solve_alpha_fair(gram: jax.Array, power: float, gains: jax.Array) -> jax.Array:
    """Solves `Ga = c a^-p` for its unique `a > 0`, by Newton's method on a convex potential.

    It minimizes `a'Ga / 2 - sum_i c_i phi(a_i)` with `phi'(a) = a^-p`; phi is the logarithm for
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

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import solvers
      >>> gram = jnp.array([[4.0, 0.0], [0.0, 1.0]])
      >>> weights = solvers.solve_alpha_fair(gram, 1.0, jnp.ones(2))
      >>> [round(value, 3) for value in weights.tolist()]
      [0.5, 1.0]
    """
    check_square(gram)
    chex.assert_shape(gains, gram.shape[:1])
    squares = jnp.diagonal(gram)
    cosine, norms = cosines(gram)
    nonzero = ~(norms == 0) & ~(squares < jnp.finfo(gram.dtype).tiny)
    norms = jnp.where(nonzero, norms, 1.0)
    cosine = jnp.where(nonzero[:, None] & nonzero[None, :], cosine, 0.0)
    # The rows of zero gradients become `a = c / a^p`, and are discarded at the end.
    cosine = jnp.where(jnp.eye(len(gram), dtype=bool), 1.0, cosine)
    point = solve_newton(AlphaFairProblem(cosine, power, gains, norms)) / norms
    point = point * jnp.where(nonzero.any(), squares.max(), 1.0) ** (-1.0 / (1.0 + power))
    point = jnp.where(nonzero.any(), jnp.where(nonzero, point, 0.0), 1.0 / len(gram))
    return jnp.where(jnp.isfinite(gram).all() & jnp.isfinite(gains).all(), point, jnp.nan)


class AlphaFairProblem(NamedTuple):
    """The equation `Cb = c s^(p-1) b^-p` for `b > 0`."""

    cosine: jax.Array  # C [K, K], with a unit diagonal
    power: float  # p
    gains: jax.Array  # c [K]
    norms: jax.Array  # s [K]


class NewtonState(NamedTuple):
    """State of the damped Newton method."""

    point: jax.Array  # [K]
    ridge: jax.Array
    size: jax.Array  # largest entry of the last relative step
    steps: jax.Array
    done: jax.Array


def solve_newton(problem: AlphaFairProblem) -> jax.Array:
    """The solution b `[K]`, by the damped Newton method."""
    point = solve_orthogonal(problem)
    quotient = jnp.vdot(point, matvec(problem.cosine, point)) / (point**2).sum()
    point = point * jnp.maximum(quotient, 0.1) ** (-1.0 / (1.0 + problem.power))
    ridge = jnp.asarray(32 * jnp.finfo(point.dtype).eps, point.dtype)
    size = jnp.asarray(jnp.inf, point.dtype)
    return jax.lax.while_loop(
        lambda state: ~state.done & (state.steps < 200),
        lambda state: damped_step(problem, state),
        NewtonState(point, ridge, size, jnp.int32(0), jnp.bool_(False)),
    ).point


def solve_orthogonal(problem: AlphaFairProblem) -> jax.Array:
    """The solution `[K]` for orthogonal gradients, `(c s^(p-1))^(1/(1+p))`."""
    _, power, gains, norms = problem
    if power <= 2.0:
        return (gains * norms ** (power - 1.0)) ** (1.0 / (1.0 + power))
    # A large power of a small norm underflows.
    return gains ** (1.0 / (1.0 + power)) * norms ** ((power - 1.0) / (1.0 + power))


def damped_step(problem: AlphaFairProblem, state: NewtonState) -> NewtonState:
    """One damped Newton step; if the factorization fails, it is retried with a larger ridge."""
    point, epsilon = state.point, jnp.finfo(state.point.dtype).eps
    right, left = residual_sides(problem, state.ridge, point)
    scale = jnp.sqrt((1.0 + state.ridge) * point**2 + problem.power * right)
    relative = point / scale
    matrix = problem.cosine * relative[:, None] * relative[None, :]
    matrix = jnp.where(jnp.eye(len(point), dtype=bool), 1.0, matrix)
    factor = jax.scipy.linalg.cho_factor(matrix)
    step = jax.scipy.linalg.cho_solve(factor, (right - left) / scale) / scale
    solved = jnp.isfinite(step).all()
    step = jnp.where(solved, step, 0.0)
    size = jnp.abs(step).max()
    noise = 24 * epsilon * (right + point * matvec(jnp.abs(problem.cosine), point))
    stalled = (jnp.abs(right - left) <= noise).all() & (size >= 0.5 * state.size)
    # The remaining error is the square of the step.
    converged = size <= jnp.sqrt(epsilon) / (4.0 + problem.power)
    return NewtonState(
        point=point * (1.0 + step_size(problem, state.ridge, point, step) * step),
        ridge=jnp.where(solved, state.ridge, 8 * state.ridge),
        size=jnp.where(solved, size, jnp.inf),
        steps=state.steps + 1,
        done=solved & (converged | stalled),
    )


def step_size(
    problem: AlphaFairProblem, ridge: jax.Array, point: jax.Array, step: jax.Array
) -> jax.Array:
    """Step size at which the potential decreases.

    `1 / (1 + (1 + p) m)`, with m the largest relative decrease of a weight, always does: it bounds
    the growth of the curvature along the step. Of eight larger candidates, the largest at which
    the potential is still decreasing is used; by convexity it decreases along the whole step.
    """
    decrease = jnp.maximum(-step.min(), 0.0)
    safe = 1.0 / (1.0 + (1.0 + problem.power) * decrease)
    longest = jnp.minimum(1.0, 0.99 / jnp.maximum(decrease, 0.5))
    candidates = safe * (longest / safe) ** jnp.linspace(0.0, 1.0, 9, dtype=point.dtype)

    def slope(candidate):
        end = point * (1.0 + candidate * step)
        right, left = residual_sides(problem, ridge, end)
        return jnp.vdot(step / (1.0 + candidate * step), left - right)

    return jnp.where(jax.vmap(slope)(candidates) <= 0, candidates, safe).max()


def residual_sides(
    problem: AlphaFairProblem, ridge: jax.Array, point: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The right-hand and left-hand side of `b_i (Cb)_i = c_i (b_i / s_i)^(1-p)`, in this order."""
    right = problem.gains * (point / problem.norms) ** (1.0 - problem.power)
    return right, point * (matvec(problem.cosine, point) + ridge * point)


def project_simplex(point: jax.Array) -> jax.Array:
    """Euclidean projection onto the simplex, `argmin ||w - x||` over `w >= 0, sum w = 1`.

    `w = max(x - t, 0)`, with t computed from the sorted entries.

    Args:
      point: x, `[K]`.

    Returns:
      The projection w, `[K]`.

    Reference: Held, Wolfe and Crowder, Validation of Subgradient Optimization, 1974.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import solvers
      >>> solvers.project_simplex(jnp.array([1.0, 0.5, -1.0])).tolist()
      [0.75, 0.25, 0.0]
    """
    chex.assert_rank(point, 1)
    shifted = point - point.max()  # For accuracy: t is within 1 of the maximum, however large.
    descending = -jnp.sort(-shifted)
    counts = jnp.arange(1, len(point) + 1, dtype=point.dtype)
    thresholds = (jnp.cumsum(descending) - 1.0) / counts
    last = jnp.sum(descending > thresholds) - 1
    weights = jnp.maximum(shifted - thresholds[last], 0.0)
    return jnp.where(jnp.isfinite(point).all(), weights, jnp.nan)
