"""Exact solvers for small quadratic programs: nonnegative, on the simplex, on a dual cone.

All run under `jit` and `vmap`, in float32 and float64. They are while loops and do not support
reverse-mode differentiation: pass `stop_gradient` of the matrix. If the input contains a NaN or
an infinity, the whole output is NaN.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp


def min_norm_point(gram: jax.Array) -> jax.Array:
    """Minimum-norm point of a convex hull, `argmin a'Ga` over `a >= 0, sum a = 1`.

    With x the minimizer of `x'(G + t 11')x / 2 - t 1'x` over `x >= 0` and `s = 1'x`, optimality
    of x gives `Gx >= t (1 - s)`, with equality where `x > 0`. So `a = x / s` satisfies
    `Ga >= a'Ga`, with equality where `a > 0`: it is optimal on the simplex. Any `t > 0` works.

    Args:
      gram: inner products of the points, `[K, K]`.

    Returns:
      The weights a, `[K]`. If the minimizer is not unique, one of them; if all points are zero,
      1/K each.

    Raises:
      AssertionError: at trace time, for another shape or dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import solvers
      >>> weights = solvers.min_norm_point(jnp.array([[4.0, 0.0], [0.0, 1.0]]))
      >>> [round(value, 3) for value in weights.tolist()]
      [0.2, 0.8]
    """
    check_square(gram)
    unit = normalize_gram(gram)
    squares = jnp.diagonal(unit)
    # t is the smallest squared norm: a larger one would lose the points of small norm, which
    # decide, to rounding.
    t = jnp.min(squares, where=squares > jnp.finfo(gram.dtype).tiny, initial=1.0)
    x = solve_nonneg_qp(unit + t, jnp.full_like(squares, t))
    return jnp.where((unit == 0).all(), 1.0 / len(gram), x / x.sum())


def project_dual_cone(gram: jax.Array, lower: jax.Array) -> jax.Array:
    """Projection onto the dual cone, `argmin v'Gv` over `v >= lower`.

    `v = lower + x`, with x the minimizer of `x'Gx / 2 + (G lower)'x` over `x >= 0`. At the
    optimum `Gv >= 0`: the combination does not conflict with any row.

    Args:
      gram: inner products of the rows, `[K, K]`.
      lower: lower bounds of the weights, `[K]`.

    Returns:
      The weights v, `[K]`. If the minimizer is not unique, one of them.

    Raises:
      AssertionError: at trace time, for another shape or dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import solvers
      >>> gram = jnp.array([[4.0, -2.0], [-2.0, 1.5]])
      >>> weights = solvers.project_dual_cone(gram, jnp.array([0.5, 0.5]))
      >>> [round(value, 3) for value in weights.tolist()]
      [0.5, 0.667]
    """
    check_square(gram)
    chex.assert_shape(lower, gram.shape[:1])
    return lower + solve_nonneg_qp(gram, -matvec(gram, lower))


def solve_nonneg_qp(matrix: jax.Array, linear: jax.Array) -> jax.Array:
    """Minimizes `x'Ax / 2 - b'x` over `x >= 0`.

    An active-set method: the free coordinates take a Newton step, truncated where one of them
    reaches zero, which is then held there. At their minimum, all held coordinates along which
    the objective still decreases are freed. A is first scaled to a unit diagonal. On exit
    `Ax - b >= 0` and, where `x > 0`, `= 0`, per row up to 8 epsilon times `|b| + |A||x|`.

    Lawson and Hanson free one coordinate at a time; freeing all of them reaches the same point
    in a tenth of the steps for many tasks. Every step descends either way.

    Args:
      matrix: positive semi-definite A, `[K, K]`. Eigenvalues that are negative by a few epsilon
        due to rounding are harmless; a Gram matrix of long float32 sums requires a ridge.
      linear: b, `[K]`, in the range of A (otherwise there is no minimum).

    Returns:
      The minimizer x, `[K]`. The search stops after `8K + 32` steps, several times the most ever
      observed, and then returns the last iterate, which has the lowest value so far.

    Raises:
      AssertionError: at trace time, for another shape or dtype.

    Reference: Lawson and Hanson, Solving Least Squares Problems, 1974, Chapter 23.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import solvers
      >>> x = solvers.solve_nonneg_qp(jnp.eye(2), jnp.array([2.0, -1.0]))
      >>> [round(value, 3) for value in x.tolist()]
      [2.0, 0.0]
    """
    check_square(matrix)
    chex.assert_shape(linear, matrix.shape[:1])
    diagonal = jnp.diagonal(matrix)
    scale = jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
    matrix, linear = matrix / scale[:, None] / scale[None, :], linear / scale
    largest = jnp.abs(linear).max()
    largest = jnp.where(largest > 0, largest, 1.0)
    solution = active_set(matrix, linear / largest)
    finite = jnp.isfinite(matrix).all() & jnp.isfinite(linear).all()
    return jnp.where(finite, solution.point * largest / scale, jnp.nan)


class ActiveSetState(NamedTuple):
    """State of the active-set method; coordinates that are not free are held at zero."""

    point: jax.Array  # [K]
    free: jax.Array  # [K]
    blocked: jax.Array  # [K], freed without progress since the point last moved
    ridge: jax.Array
    steps: jax.Array
    done: jax.Array


def active_set(matrix: jax.Array, linear: jax.Array) -> ActiveSetState:
    """Runs the active-set method from zero, for a matrix with unit diagonal."""
    none = jnp.zeros_like(linear, bool)
    ridge = jnp.asarray(16 * jnp.finfo(linear.dtype).eps, linear.dtype)
    return jax.lax.while_loop(
        lambda state: ~state.done & (state.steps < 8 * len(linear) + 32),
        lambda state: active_set_step(matrix, linear, state),
        ActiveSetState(jnp.zeros_like(linear), none, none, ridge, jnp.int32(0), jnp.bool_(False)),
    )


def active_set_step(matrix: jax.Array, linear: jax.Array, state: ActiveSetState) -> ActiveSetState:
    """Frees coordinates if the free ones are at their minimum, and steps; A has a unit diagonal."""
    point, held = state.point, ~state.free
    residual = linear - matvec(matrix, point)
    noise = 8 * jnp.finfo(point.dtype).eps * (jnp.abs(linear) + matvec(jnp.abs(matrix), point))
    stationary = (held | (jnp.abs(residual) <= noise)).all()
    entering = stationary & held & ~state.blocked & (residual > noise)
    done = stationary & ~entering.any()
    free = state.free | entering
    step = newton_step(matrix, residual, free, state.ridge)
    # A failed factorization: the ridge does not compensate for indefiniteness due to rounding.
    solved = jnp.isfinite(step).all()
    step = jnp.where(solved & ~done, step, 0.0)
    limit = jnp.where(free & (step < 0), point / -step, jnp.inf)
    step_size = jnp.minimum(limit.min(), 1.0)
    leaving = limit <= step_size
    return ActiveSetState(
        point=jnp.where(leaving, 0.0, jnp.maximum(point + step_size * step, 0.0)),
        free=free & ~leaving,
        blocked=jnp.where(leaving.any() & (step_size == 0), state.blocked | leaving, False),
        ridge=jnp.where(solved, state.ridge, 8 * state.ridge),
        steps=state.steps + 1,
        done=done,
    )


def newton_step(
    matrix: jax.Array, residual: jax.Array, free: jax.Array, ridge: jax.Array
) -> jax.Array:
    """Newton step `[K]` of the free coordinates; not finite if the factorization fails.

    A ridge bounds the step where the matrix has no curvature. The second solve (iterative
    refinement) corrects the bias of the ridge; and since steps are relative to the current point,
    the remaining bias slows convergence but does not change the minimizer.
    """
    free_matrix = jnp.where(free[:, None] & free[None, :], matrix, 0.0)
    free_residual = jnp.where(free, residual, 0.0)
    factor = jax.scipy.linalg.cho_factor(free_matrix + jnp.diag(jnp.where(free, ridge, 1.0)))
    step = jax.scipy.linalg.cho_solve(factor, free_residual)
    return step + jax.scipy.linalg.cho_solve(factor, free_residual - matvec(free_matrix, step))


def pinv_solve(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """`A^+ b` of a symmetric positive semi-definite A: the minimum-norm least-squares solution."""
    spectrum = psd_eigh(matrix)
    nonzero = spectrum.nonzero
    inverse = jnp.where(nonzero, 1.0 / jnp.where(nonzero, spectrum.values, 1.0), 0.0)
    return matvec(spectrum.vectors, inverse * matvec(spectrum.vectors.T, vector))


class Spectrum(NamedTuple):
    """Eigendecomposition with increasing eigenvalues, and a mask of the nonzero ones."""

    values: jax.Array  # [K]
    vectors: jax.Array  # [K, K], in columns
    nonzero: jax.Array  # [K]


def psd_eigh(matrix: jax.Array) -> Spectrum:
    """Eigendecomposition of a symmetric positive semi-definite matrix.

    Eigenvalues above `K epsilon` times the largest count as nonzero. On a CPU, LAPACK is used, whose
    busy-waiting threads slow XLA down: the launcher limits it to one thread
    (`mtl_jax.runner.blas_threads`), and so should other fast training loops.
    """
    # LAPACK requires column-major order, and XLA propagates that layout to the computation of the
    # matrix: for the gradients of two tasks it then uses a slow loop (0.3 ms for an MLP of 82,000
    # parameters). The transpose already has the required layout.
    values, vectors = jnp.linalg.eigh(matrix.T, symmetrize_input=False)
    threshold = len(matrix) * jnp.finfo(matrix.dtype).eps * values[-1]
    return Spectrum(values, vectors, values > jnp.maximum(threshold, 0.0))


def cosines(gram: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cosines between the rows `[K, K]`, and their norms `[K]`, scaled to a maximum of 1.

    A row whose squared norm relative to the largest is not a normal number has norm 0 and cosine
    0 with all rows, including itself.
    """
    unit = normalize_gram(gram)
    squares = jnp.diagonal(unit)
    nonzero = ~(squares < jnp.finfo(gram.dtype).tiny)
    norms = jnp.sqrt(jnp.where(nonzero, squares, 0.0))
    divisor = jnp.where(nonzero, norms, jnp.inf)
    return unit / divisor[:, None] / divisor[None, :], norms


def normalize_gram(gram: jax.Array) -> jax.Array:
    """Divides a Gram matrix by its largest squared norm to avoid overflow; zero stays zero.

    If the largest squared norm is below the smallest normal number, the matrix becomes zero.
    Values that are not finite stay so.
    """
    largest = jnp.diagonal(gram).max()
    return gram / jnp.where(largest < jnp.finfo(gram.dtype).tiny, jnp.inf, largest)


def matvec(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """`Ax` in full precision, even where the default matmul precision is lower."""
    return jnp.matmul(matrix, vector, precision="highest")


def check_square(matrix: jax.Array) -> None:
    """Requires a square float matrix."""
    chex.assert_rank(matrix, 2)
    chex.assert_equal(*matrix.shape)
    chex.assert_type(matrix, float)
