"""Exact solvers for small quadratic problems of balancing: nonnegative, on the simplex, on a cone.

All are made of `lax`, so they run under `jit` and `vmap`, in float32 and float64. They are not
meant to be differentiated: give them `stop_gradient` of the matrix. A NaN or an infinity in the
input makes the whole output NaN.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp


def min_norm_point(gram: jax.Array) -> jax.Array:
    """The shortest point of a convex hull, `argmin a'Ga` over `a >= 0, sum a = 1`.

    With x the minimiser of `x'(G + t 11')x / 2 - t 1'x` over `x >= 0` and `s = 1'x`, the
    optimality of x says `Gx >= t (1 - s)`, with equality where `x > 0`. So `a = x / s` has
    `Ga >= a'Ga`, with equality where `a > 0`, which is the optimality on the simplex. Any t > 0
    does; the smallest squared length keeps the short rows, which decide, from being rounded away.

    Args:
      gram: inner products of the points, `[K, K]`.

    Returns:
      The weights a, `[K]`. If several points are the shortest, one of them; if all are zero,
      1/K each.
    """
    check_square(gram)
    gram, squares = unit_scale(gram), jnp.diagonal(unit_scale(gram))
    level = jnp.min(squares, where=squares > 0, initial=1.0)
    x = nonnegative_quadratic(gram + level, jnp.full_like(squares, level))
    return jnp.where((gram == 0).all(), 1.0 / len(gram), x / x.sum())


def dual_cone(gram: jax.Array, lower: jax.Array) -> jax.Array:
    """The shortest combination with weights of at least `lower`, `argmin v'Gv` over `v >= lower`.

    At the optimum `Gv >= 0`: the combination conflicts with no row.

    Args:
      gram: inner products of the rows, `[K, K]`.
      lower: `[K]`.

    Returns:
      The weights v, `[K]`. If several are optimal, one of them.
    """
    check_square(gram)
    chex.assert_shape(lower, gram.shape[:1])
    return lower + nonnegative_quadratic(gram, -product(gram, lower))


def nonnegative_quadratic(matrix: jax.Array, linear: jax.Array) -> jax.Array:
    """Minimises `x'Ax / 2 - b'x` over `x >= 0`.

    The active-set method of Lawson and Hanson, on the normal equations: the free coordinates
    take a Newton step, cut where one of them reaches zero; once they are at rest, the coordinate
    with the steepest descent is freed. A is first scaled to a unit diagonal. Tolerances are
    relative to `|b| + |A||x|`, row by row.

    Args:
      matrix: positive semi-definite A, `[K, K]`; small negative eigenvalues from rounding do
        no harm.
      linear: b, `[K]`, in the range of A (otherwise there is no minimum).

    Returns:
      The minimiser x, `[K]`. The search ends after at most `8K + 32` steps; each step goes down,
      so what it then returns is feasible and the best so far.

    Reference: Lawson and Hanson, Solving Least Squares Problems, 1974, Chapter 23.
    """
    check_square(matrix)
    chex.assert_shape(linear, matrix.shape[:1])
    diagonal = jnp.diagonal(matrix)
    scale = jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
    unit = matrix / scale[:, None] / scale[None, :]
    linear = linear / scale
    size = jnp.abs(linear).max()
    size = jnp.where(size > 0, size, 1.0)
    last = jax.lax.while_loop(
        lambda search: ~search.done & (search.steps < 8 * len(unit) + 32),
        lambda search: descend(unit, linear / size, search),
        start(linear),
    )
    return nan_unless_finite(unit, last.point * size / scale)


class Search(NamedTuple):
    """Where the active-set method stands; coordinates that are not free are zero."""

    point: jax.Array  # [K]
    free: jax.Array  # [K]
    barred: jax.Array  # [K], freed in vain since the point last moved
    steps: jax.Array
    done: jax.Array


def start(like: jax.Array) -> Search:
    """At zero, with no coordinate free."""
    none = jnp.zeros_like(like, bool)
    return Search(jnp.zeros_like(like), none, none, jnp.int32(0), jnp.bool_(False))


def descend(matrix: jax.Array, linear: jax.Array, search: Search) -> Search:
    """One step of the active-set method, on a matrix of unit diagonal."""
    x = search.point
    noise = NOISE * jnp.finfo(x.dtype).eps
    residual = linear - product(matrix, x)
    size = noise * (jnp.abs(linear) + product(jnp.abs(matrix), x))
    at_rest = jnp.where(search.free, jnp.abs(residual) <= size, True).all()
    slope = jnp.where(search.free | search.barred, -jnp.inf, residual - size)
    entering = at_rest & (slope > 0) & (slope >= THETA * slope.max())
    done = at_rest & ~entering.any()
    free = search.free | entering
    # The ridge bounds steps in directions without curvature. Steps start from x and not from
    # zero, so that it shortens the way and does not move the minimum.
    inside = jnp.where(free[:, None] & free[None, :], matrix, 0.0)
    ridged = inside + jnp.diag(jnp.where(free, RIDGE * noise, 1.0).astype(x.dtype))
    step = jax.scipy.linalg.solve(ridged, jnp.where(free, residual, 0.0), assume_a="pos")
    solved = jnp.isfinite(step).all()  # It is not where rounding made the matrix indefinite.
    steepest = jnp.arange(len(x)) == slope.argmax()
    alone = entering.sum() == 1
    limit = jnp.where(free & (step < 0), x / -step, jnp.inf)
    limit = jnp.where(solved, limit, jnp.where(entering & (alone | ~steepest), 0.0, jnp.inf))
    reach = jnp.where(solved & ~done, jnp.minimum(limit.min(), 1.0), 0.0)
    stopped = (limit <= reach) & ~done
    moved = jnp.where(free & ~stopped, x + reach * jnp.where(solved, step, 0.0), 0.0)
    return Search(
        point=jnp.where(done, x, jnp.maximum(moved, 0.0)),
        free=free & ~stopped,
        barred=jnp.where(reach > 0, False, search.barred | (stopped & (solved | alone))),
        steps=search.steps + 1,
        done=done,
    )


def unit_scale(gram: jax.Array) -> jax.Array:
    """The Gram matrix over its largest squared length, so that nothing overflows; 0 stays 0."""
    largest = jnp.diagonal(gram).max()
    return gram / jnp.where(largest >= jnp.finfo(gram.dtype).tiny, largest, 1.0)


def nan_unless_finite(source: jax.Array, value: jax.Array) -> jax.Array:
    """The value, or NaN everywhere if the source has a NaN or an infinity."""
    return jnp.where(jnp.isfinite(source).all(), value, jnp.nan)


def product(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """`Ax` in full precision, also where matrix products are fast and coarse by default."""
    return jnp.matmul(matrix, vector, precision="highest")


def check_square(matrix: jax.Array) -> None:
    """Requires a square matrix of floats."""
    chex.assert_rank(matrix, 2)
    chex.assert_equal(*matrix.shape)
    chex.assert_type(matrix, float)
