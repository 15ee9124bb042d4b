"""Convex solvers: optimality on well and ill-behaved matrices, closed forms, broken input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.solvers.cagrad import solve_cagrad
from mtl_jax.solvers.convex import project_simplex, solve_alpha_fair
from tests.solvers.test_quadratic import NUMBERS, TOLERANCE, jacobians


def solved(solve, num_tasks, dtype):
    """Kinds of gradients, their Gram matrices and a solver's answers, both in float64."""
    kinds = jacobians(num_tasks)
    rows = np.stack(list(kinds.values())).astype(dtype).astype("float64")
    grams = (rows @ rows.swapaxes(1, 2)).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        points = np.asarray(jax.jit(jax.vmap(solve))(jnp.array(grams)))
    assert points.dtype == dtype and np.isfinite(points).all()
    return zip(kinds, grams.astype("float64"), points.astype("float64"), strict=True)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("num_tasks", NUMBERS)
@pytest.mark.parametrize("power", [0.25, 0.5, 1.0, 4.0])
def test_fair_point_solves_every_kind(num_tasks, dtype, power):
    gains = np.random.default_rng(1).uniform(0.1, 3.0, num_tasks).astype(dtype)
    solve = lambda gram: solve_alpha_fair(gram, power, jnp.array(gains))
    for kind, gram, point in solved(solve, num_tasks, dtype):
        there = np.diag(gram) > 0.0
        if not there.any():
            np.testing.assert_allclose(point, 1 / num_tasks, rtol=1e-6)
            continue
        assert (point[~there] == 0.0).all() and (point[there] > 0.0).all(), kind
        gram, point = gram[np.ix_(there, there)], point[there]
        pull, push = gains[there] * point ** (1.0 - power), point * (gram @ point)
        size = pull + point * (np.abs(gram) @ point)
        assert (np.abs(pull - push) / size).max() <= TOLERANCE[dtype], kind


def test_fair_point_of_a_diagonal():
    squares, gains = jnp.array([4.0, 1e-8, 1e8]), jnp.array([1.0, 2.0, 3.0])
    for power in (0.5, 1.0, 2.0):
        found = jax.jit(lambda g, p=power: solve_alpha_fair(g, p, gains))(jnp.diag(squares))
        # By hand: G_ii a_i = c_i a_i^-p.
        np.testing.assert_allclose(found, (gains / squares) ** (1 / (1 + power)), rtol=1e-5)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("num_tasks", NUMBERS[:-1])
@pytest.mark.parametrize("radius", [0.4, 1.0])
def test_ball_point_is_optimal_on_every_kind(num_tasks, dtype, radius):
    for kind, gram, point in solved(lambda gram: solve_cagrad(gram, radius), num_tasks, dtype):
        assert ballness(gram / (gram.max() or 1.0), point, radius) <= TOLERANCE[dtype], kind


def ballness(gram: np.ndarray, point: np.ndarray, radius: float) -> float:
    """How far weights are from the optimality in the ball, relative to G and them."""
    added = point - 1.0 / len(gram)
    inner, size = gram @ point, max((np.abs(gram) @ point).max(), 1e-300)
    used = added > 1e-6
    level = inner[used].max(initial=inner.min())
    away = np.sqrt(max(added @ gram @ added, 0.0))
    allowed = radius * np.sqrt(max(gram.mean(), 0.0))
    # Inside the ball only where nothing better than no conflict can be had.
    slack = min(allowed - away, level / size)
    return max(np.max(-added), (level - inner.min()) / size, away - allowed, slack)


def test_ball_point_of_many_tasks():
    kinds = jacobians(64)
    rows = np.stack([kinds[name] for name in ("normal", "conflicting")]).astype("float32")
    grams = rows @ rows.swapaxes(1, 2)
    points = np.asarray(jax.jit(jax.vmap(lambda gram: solve_cagrad(gram, 0.4)))(grams))
    for gram, point in zip(grams.astype("float64"), points.astype("float64"), strict=True):
        assert ballness(gram / gram.max(), point, 0.4) <= TOLERANCE["float32"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (2, 2), (1, 2)], ids=str)
def test_what_is_not_finite_comes_out_as_nan(value, place):
    gram = np.diag([1.0, 2.0, 0.0]).astype("float32")
    gram[place] = gram[place[::-1]] = value
    ones = jnp.ones(3)
    assert np.isnan(FAIR(gram, ones)).all()
    assert np.isnan(BALL(gram)).all()
    assert np.isnan(FAIR(np.eye(3, dtype="float32"), ones.at[1].set(value))).all()


FAIR = jax.jit(lambda gram, gains: solve_alpha_fair(gram, 1.0, gains))
BALL = jax.jit(lambda gram: solve_cagrad(gram, 0.5))


def test_wrong_shapes_are_refused():
    with pytest.raises(AssertionError):
        solve_alpha_fair(jnp.ones((2, 3)), 1.0, jnp.ones(2))
    with pytest.raises(AssertionError):
        solve_alpha_fair(jnp.eye(2), 1.0, jnp.ones(3))


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ([0.5, 0.7], [0.4, 0.6]),  # by hand: a tenth less each.
        ([2.0, 0.5, 0.5], [1.0, 0.0, 0.0]),
        ([0.4, 0.4, -3.0], [0.5, 0.5, 0.0]),
        ([1e20, 1e20, 0.0], [0.5, 0.5, 0.0]),
        ([-7.0], [1.0]),
    ],
)
def test_nearest_point_of_the_simplex(point, expected):
    np.testing.assert_allclose(jax.jit(project_simplex)(jnp.array(point)), expected, atol=1e-6)


def test_nearest_point_of_the_simplex_is_nearer_than_others():
    random = np.random.default_rng(0)
    points, others = random.normal(size=(20, 1, 8)), random.dirichlet(np.ones(8), (20, 50))
    with jax.enable_x64(True):
        nearest = np.asarray(jax.vmap(project_simplex)(jnp.array(points[:, 0])))
    np.testing.assert_allclose(nearest.sum(1), 1.0)
    assert (nearest >= 0.0).all()
    # At the nearest point no other one lies on the side of x.
    inner = ((points - nearest[:, None]) * (others - nearest[:, None])).sum(2)
    assert inner.max() <= 1e-12
    assert np.isnan(project_simplex(jnp.array([0.0, np.nan]))).all()
