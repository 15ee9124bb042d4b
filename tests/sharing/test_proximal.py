"""Proximal operators: the conditions of optimality, over inputs of every kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.sharing import prox_l1, prox_l1_inf, prox_l21, prox_trace_norm

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
STEPS = [0.0, 0.3, 1.0, 4.0, 1e3]


def columns_of(norm):
    """A norm over the columns, summed."""
    return lambda x: sum(norm(column) for column in x.T)


# Each norm with its dual, which is what its subgradients keep at most 1.
NORMS = {
    prox_l1: (lambda x: np.abs(x).sum(), lambda z: np.abs(z).max()),
    prox_l21: (columns_of(np.linalg.norm), lambda z: np.linalg.norm(z, axis=0).max()),
    prox_l1_inf: (columns_of(lambda c: np.abs(c).max()), lambda z: np.abs(z).sum(0).max()),
    prox_trace_norm: (lambda x: np.linalg.norm(x, "nuc"), lambda z: np.linalg.norm(z, 2)),
}
RUN = {prox: jax.jit(prox) for prox in NORMS}
each = pytest.mark.parametrize("prox", NORMS, ids=lambda prox: prox.__name__)
dtypes = pytest.mark.parametrize("dtype", TOLERANCE)


def matrices():
    """Matrices `[K, D]` that are regular, square, tall, tied, dependent, zero, of one task."""
    random = np.random.default_rng(0)
    normal = random.normal(size=(4, 7))
    turned, _ = np.linalg.qr(random.normal(size=(7, 7)))
    return {
        "normal": normal,
        "square": random.normal(size=(5, 5)),
        "tall": random.normal(size=(7, 3)),
        "equal singular values": turned[:4],
        "equal tasks": np.repeat(normal[:1], 4, 0),
        "ties": random.integers(-1, 2, (4, 7)).astype(float),
        "one rank": np.outer([1.0, 0.0, -2.0, 3.0], normal[0]),
        "zero": np.zeros((4, 7)),
        "one task": normal[:1],
        "wide range": normal * 10.0 ** random.integers(-3, 3, (4, 1)),
    }


def solve(prox, matrix, t, dtype):
    with jax.enable_x64(dtype == "float64"):
        x = np.asarray(RUN[prox](jnp.asarray(matrix, dtype), jnp.asarray(t, dtype)))
    assert x.dtype == dtype and x.shape == matrix.shape
    return x.astype(np.float64)


@each
@dtypes
@pytest.mark.parametrize("kind", matrices())
def test_what_is_left_over_is_a_subgradient(prox, kind, dtype):
    """`v - x = t z`, with z of dual norm at most 1 and `<z, x> = norm(x)`: it is optimal."""
    norm, dual = NORMS[prox]
    matrix = matrices()[kind].astype(dtype).astype(np.float64)
    unit = max(np.abs(matrix).max(), 1.0) * matrix.size
    for t in STEPS:
        t = float(np.asarray(t, dtype))
        x = solve(prox, matrix, t, dtype)
        slack = TOLERANCE[dtype] * unit
        assert dual(matrix - x) <= t + slack
        gap = t * norm(x) - np.vdot(matrix - x, x)
        assert abs(gap) <= slack * max(np.abs(x).max(), 1.0)


@each
@dtypes
def test_nothing_near_or_far_is_better(prox, dtype):
    norm, _ = NORMS[prox]
    random = np.random.default_rng(1)
    matrix = random.normal(size=(3, 4))

    def cost(x):
        return np.square(x - matrix).sum() / 2 + 0.4 * norm(x)

    x = solve(prox, matrix, 0.4, dtype)
    for size in (1e-2, 0.3, 3.0):
        for _ in range(50):
            assert cost(x + size * random.normal(size=matrix.shape)) > cost(x)


@each
def test_a_step_that_is_long_enough_gives_exact_zeros(prox):
    assert (solve(prox, matrices()["normal"], 1e3, "float32") == 0).all()
    np.testing.assert_allclose(
        solve(prox, matrices()["normal"], 0.0, "float64"), matrices()["normal"], atol=1e-12
    )


@each
def test_it_vmaps(prox):
    stack = np.stack([matrices()["normal"], matrices()["one rank"]]).astype(np.float32)
    both = jax.jit(jax.vmap(prox, (0, None)))(stack, 0.5)
    alone = [solve(prox, matrix, 0.5, "float32") for matrix in stack]
    np.testing.assert_allclose(both, alone, atol=1e-5)


def test_values_by_hand():
    matrix = jnp.array([[3.0, 1.0, 0.5], [4.0, -1.0, 0.0]])
    np.testing.assert_allclose(prox_l1(matrix, 1.0), [[2, 0, 0], [3, 0, 0]])
    np.testing.assert_allclose(prox_l21(matrix, 1.0)[:, [0, 2]], [[2.4, 0], [3.2, 0]], rtol=1e-6)
    np.testing.assert_allclose(prox_l1_inf(matrix, 1.0), [[3, 0.5, 0], [3, -0.5, 0]])
    np.testing.assert_allclose(prox_l1_inf(matrix, 2.0)[:, 0], [2.5, 2.5])
    diagonal = jnp.array([[3.0, 0.0], [0.0, 0.5]])
    np.testing.assert_allclose(prox_trace_norm(diagonal, 1.0), [[2, 0], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_lengths_neither_underflow_nor_overflow(scale):
    step = prox_l21(jnp.float32(scale) * jnp.array([[3.0], [4.0]]), scale)
    np.testing.assert_allclose(step / np.float32(scale), [[2.4], [3.2]], rtol=1e-5)
