"""Exact solvers of small quadratic problems: free, nonnegative, on the simplex, on a cone.

All run under `jit` and `vmap`, in float32 and float64. They are loops, so no reverse-mode
gradient flows through them: give them `stop_gradient` of the matrix. A NaN or an infinity in
the input makes the whole output NaN.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp


def min_norm_point(gram: jax.Array) -> jax.Array:
    """The shortest point of a convex hull, `argmin a'Ga` over `a >= 0, sum a = 1`.

    With x the minimiser of `x'(G + t 11')x / 2 - t 1'x` over `x >= 0` and `s = 1'x`, the
    optimality of x says `Gx >= t (1 - s)`, with equality where `x > 0`. So `a = x / s` has
    `Ga >= a'Ga`, with equality where `a > 0`: it is optimal on the simplex. Any `t > 0` does.

    Args:
      gram: inner products of the points, `[K, K]`.

    Returns:
      The weights a, `[K]`. If several points are the shortest, one of them; if all points are
      zero, 1/K each.

    Raises:
      AssertionError: for another shape or dtype, when traced.
    """
    check_square(gram)
    unit = unit_scale(gram)
    squares = jnp.diagonal(unit)
    # t is the smallest squared length: a larger one would round the short points away, and it
    # is they that decide.
    level = jnp.min(squares, where=squares > jnp.finfo(gram.dtype).tiny, initial=1.0)
    x = nonnegative_quadratic(unit + level, jnp.full_like(squares, level))
    return jnp.where((unit == 0).all(), 1.0 / len(gram), x / x.sum())


def dual_cone(gram: jax.Array, lower: jax.Array) -> jax.Array:
    """The shortest combination with weights of at least `lower`, `argmin v'Gv` over `v >= lower`.

    `v = lower + x`, x the minimiser of `x'Gx / 2 + (G lower)'x` over `x >= 0`. At the optimum
    `Gv >= 0`: the combination conflicts with no row.

    Args:
      gram: inner products of the rows, `[K, K]`.
      lower: `[K]`.

    Returns:
      The weights v, `[K]`. If several are optimal, one of them.

    Raises:
      AssertionError: for another shape or dtype, when traced.
    """
    check_square(gram)
    chex.assert_shape(lower, gram.shape[:1])
    return lower + nonnegative_quadratic(gram, -product(gram, lower))


def nonnegative_quadratic(matrix: jax.Array, linear: jax.Array) -> jax.Array:
    """Minimises `x'Ax / 2 - b'x` over `x >= 0`.

    An active-set method: the free coordinates take a Newton step, cut short where one of them
    reaches zero, which is then held there. When they are at rest, all held coordinates along
    which the value still falls are freed. A is first scaled to a unit diagonal. At the end
    `Ax - b >= 0` and, where `x > 0`, `= 0`, row by row up to 8 epsilon times `|b| + |A||x|`.

    Lawson and Hanson free one coordinate at a time; freeing all of them comes to the same
    point in a tenth of the steps for many tasks. Each step goes down either way.

    Args:
      matrix: positive semi-definite A, `[K, K]`. Eigenvalues that rounding made negative by
        a few epsilon do no harm; a Gram matrix of long float32 sums wants a ridge.
      linear: b, `[K]`, in the range of A (otherwise there is no minimum).

    Returns:
      The minimiser x, `[K]`. The search is cut after `8K + 32` steps, several times what was
      ever seen; it then returns the lowest point so far.

    Raises:
      AssertionError: for another shape or dtype, when traced.

    Reference: Lawson and Hanson, Solving Least Squares Problems, 1974, Chapter 23.
    """
    check_square(matrix)
    chex.assert_shape(linear, matrix.shape[:1])
    diagonal = jnp.diagonal(matrix)
    scale = jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
    matrix, linear = matrix / scale[:, None] / scale[None, :], linear / scale
    size = jnp.abs(linear).max()
    size = jnp.where(size > 0, size, 1.0)
    last = search(matrix, linear / size)
    finite = jnp.isfinite(matrix).all() & jnp.isfinite(linear).all()
    return jnp.where(finite, last.point * size / scale, jnp.nan)


class Search(NamedTuple):
    """Where the active-set method stands; coordinates that are not free are held at zero."""

    point: jax.Array  # [K]
    free: jax.Array  # [K]
    barred: jax.Array  # [K], freed in vain since the point last moved
    ridge: jax.Array
    steps: jax.Array
    done: jax.Array


def search(matrix: jax.Array, linear: jax.Array) -> Search:
    """Goes from zero to the minimum, on a matrix of unit diagonal."""
    none = jnp.zeros_like(linear, bool)
    ridge = jnp.asarray(16 * jnp.finfo(linear.dtype).eps, linear.dtype)
    return jax.lax.while_loop(
        lambda search: ~search.done & (search.steps < 8 * len(linear) + 32),
        lambda search: advance(matrix, linear, search),
        Search(jnp.zeros_like(linear), none, none, ridge, jnp.int32(0), jnp.bool_(False)),
    )


def advance(matrix: jax.Array, linear: jax.Array, search: Search) -> Search:
    """Frees coordinates if the free ones are at rest, and steps; A has a unit diagonal."""
    point, held = search.point, ~search.free
    residual = linear - product(matrix, point)
    noise = jnp.abs(linear) + product(jnp.abs(matrix), point)
    noise = 8 * jnp.finfo(point.dtype).eps * noise
    at_rest = (held | (jnp.abs(residual) <= noise)).all()
    entering = at_rest & held & ~search.barred & (residual > noise)
    done = at_rest & ~entering.any()
    free = search.free | entering
    step = newton_step(matrix, residual, free, search.ridge)
    # No factor: rounding made the matrix more indefinite than the ridge makes up for.
    solved = jnp.isfinite(step).all()
    step = jnp.where(solved & ~done, step, 0.0)
    limit = jnp.where(free & (step < 0), point / -step, jnp.inf)
    reach = jnp.minimum(limit.min(), 1.0)
    stopped = limit <= reach
    return Search(
        point=jnp.where(stopped, 0.0, jnp.maximum(point + reach * step, 0.0)),
        free=free & ~stopped,
        barred=jnp.where(stopped.any() & (reach == 0), search.barred | stopped, False),
        ridge=jnp.where(solved, search.ridge, 8 * search.ridge),
        steps=search.steps + 1,
        done=done,
    )


def newton_step(
    matrix: jax.Array, residual: jax.Array, free: jax.Array, ridge: jax.Array
) -> jax.Array:
    """The step `[K]` that brings the free coordinates to rest; not finite if there is none.

    A ridge bounds it where the matrix has no curvature. The second solve takes back what the
    ridge shortened it by; and since steps start from the point, not from zero, what is left
    of that delays the rest but does not move it.
    """
    inside = jnp.where(free[:, None] & free[None, :], matrix, 0.0)
    force = jnp.where(free, residual, 0.0)
    factor = jax.scipy.linalg.cho_factor(inside + jnp.diag(jnp.where(free, ridge, 1.0)))
    step = jax.scipy.linalg.cho_solve(factor, force)
    return step + jax.scipy.linalg.cho_solve(factor, force - product(inside, step))


def pseudo_solve(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """`A^+ b` of a symmetric positive semi-definite A: least squares, the shortest if many."""
    spectrum = eigen(matrix)
    inverse = jnp.where(spectrum.kept, 1.0 / jnp.where(spectrum.kept, spectrum.values, 1.0), 0.0)
    return product(spectrum.vectors, inverse * product(spectrum.vectors.T, vector))


class Spectrum(NamedTuple):
    """Eigenvalues in rising order, and which of them are not zero up to rounding."""

    values: jax.Array  # [K]
    vectors: jax.Array  # [K, K], in columns
    kept: jax.Array  # [K]


def eigen(matrix: jax.Array) -> Spectrum:
    """Eigenvalues of a symmetric positive semi-definite matrix; kept above `K epsilon` of the top.

    On a CPU they are LAPACK's, whose threads hinder XLA's while they wait for more: the launcher
    keeps it to one (`mtl_jax.runner.blas_threads`), and so should other loops that are to be fast.
    """
    # LAPACK takes columns, and that layout goes back through what the matrix is made of: of the
    # gradients of two tasks XLA then finds it by a slow loop (0.3 ms for an MLP of 82,000
    # parameters). Transposed, it is what LAPACK takes.
    values, vectors = jnp.linalg.eigh(matrix.T, symmetrize_input=False)
    least = len(matrix) * jnp.finfo(matrix.dtype).eps * values[-1]
    return Spectrum(values, vectors, values > jnp.maximum(least, 0.0))


def cosines(gram: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cosines between the rows `[K, K]`, and their lengths `[K]`, the longest being 1.

    A row whose square is no normal number beside the longest has length 0 and cosine 0 with
    all, itself too.
    """
    unit = unit_scale(gram)
    squares = jnp.diagonal(unit)
    there = ~(squares < jnp.finfo(gram.dtype).tiny)
    lengths = jnp.sqrt(jnp.where(there, squares, 0.0))
    divisor = jnp.where(there, lengths, jnp.inf)
    return unit / divisor[:, None] / divisor[None, :], lengths


def unit_scale(gram: jax.Array) -> jax.Array:
    """A Gram matrix over its largest squared length, so that nothing overflows; zero stays zero.

    Lengths whose squares are no normal numbers count as zero. What is not finite stays so.
    """
    largest = jnp.diagonal(gram).max()
    return gram / jnp.where(largest < jnp.finfo(gram.dtype).tiny, jnp.inf, largest)


def product(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """`Ax` in full precision, also where matrix products are coarse by default."""
    return jnp.matmul(matrix, vector, precision="highest")


def check_square(matrix: jax.Array) -> None:
    """Requires a square matrix of floats."""
    chex.assert_rank(matrix, 2)
    chex.assert_equal(*matrix.shape)
    chex.assert_type(matrix, float)
