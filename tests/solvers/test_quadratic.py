"""Solvers: optimality on well and ill-behaved matrices, closed forms, and broken input."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from mtl_jax.solvers.quadratic import (
    active_set,
    cosines,
    min_norm_point,
    normalize_gram,
    pinv_solve,
    project_dual_cone,
    psd_eigh,
    solve_nonneg_qp,
)

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
# Each compiles programs of its own, so numbers between others are slow ones.
NUMBERS = (
    1,
    2,
    pytest.param(3, marks=pytest.mark.slow),
    5,
    pytest.param(16, marks=pytest.mark.slow),
    64,
)


def jacobians(num_tasks: int) -> dict[str, np.ndarray]:
    """Gradients `[K, 80]` of every kind that has given a solver trouble."""
    random = np.random.default_rng(num_tasks)
    normal = random.normal(size=(num_tasks, 80))
    direction = random.normal(size=80)
    rank = max(1, num_tasks // 3)
    low = random.normal(size=(num_tasks, rank)) @ random.normal(size=(rank, 80))
    lengths = 10.0 ** random.uniform(-4, 4, size=(num_tasks, 1))
    half, rest = num_tasks // 2, num_tasks - num_tasks // 2
    signs = np.where(np.arange(num_tasks) % 2, 1.0, -1.0)[:, None]
    opposed = np.concatenate([normal[:rest], -normal[:half]])
    zero_row = normal.copy()
    zero_row[0] = 0.0
    return {
        "normal": normal,
        "conflicting": normal - 1.1 * normal.mean(0),
        "square": np.where(np.arange(80) < num_tasks, normal, 0.0),
        "low rank": low,
        "one rank": signs * (1.0 + np.arange(num_tasks)[:, None]) * direction,
        "badly scaled": lengths * normal,
        "badly scaled, low rank": lengths * low,
        "duplicated": np.concatenate([normal[:rest], normal[:half]]),
        "opposed": opposed,
        "opposed, badly scaled": lengths * opposed,
        "nearly opposed": signs * direction + 1e-3 * normal,
        "zero row": zero_row,
        "all zero": np.zeros((num_tasks, 80)),
        "tiny": 1e-10 * normal,
        "tiny, badly scaled": 1e-10 * lengths * normal,
        "tiny, low rank": 1e-10 * low,
        "huge": 1e15 * normal,
        "huge, badly scaled": 1e10 * lengths * normal,
        "huge, conflicting": 1e15 * (normal - 1.1 * normal.mean(0)),
    }


def cones(gram):
    """The dual cone's combinations, one for each task (of the first eight) as lower bound."""
    bounds = jnp.eye(len(gram), dtype=gram.dtype)[:8]
    return jax.vmap(project_dual_cone, (None, 0))(gram, bounds)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("num_tasks", NUMBERS)
def test_both_are_optimal_on_every_kind(num_tasks, dtype):
    kinds = jacobians(num_tasks)
    rows = np.stack(list(kinds.values())).astype(dtype).astype("float64")
    grams = (rows @ rows.swapaxes(1, 2)).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        both = jax.jit(jax.vmap(lambda gram: (min_norm_point(gram), cones(gram))))
        points, combinations = jax.tree.map(np.asarray, both(jnp.array(grams)))
    assert points.dtype == combinations.dtype == dtype
    assert np.isfinite(points).all() and np.isfinite(combinations).all()
    for kind, *found in zip(kinds, grams, points, combinations, strict=True):
        gram, point, rows = (np.asarray(part, "float64") for part in found)
        assert shortness(gram, point) <= TOLERANCE[dtype], kind
        assert coneness(gram, rows) <= TOLERANCE[dtype], kind


def test_the_search_ends_by_itself_and_soon():
    """Singular matrices are those on which it may go round in circles."""
    kinds = jacobians(64)
    rows = np.stack([kinds[name] for name in ("low rank", "opposed", "conflicting")])
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    cosines = jnp.array(rows @ rows.swapaxes(1, 2), jnp.float32)
    last = jax.jit(jax.vmap(jax.vmap(active_set, (None, 0))))(cosines, -cosines)
    assert last.done.all()
    assert last.steps.max() <= 2 * 64, "it is cut at 8K + 32"


def shortness(gram: np.ndarray, point: np.ndarray) -> float:
    """How far weights are from the optimality of the shortest point, relative to G."""
    inner = gram @ point
    excess = (inner - point @ inner) / (np.diag(gram).max() or 1.0)
    return max(
        np.max(-point), abs(point.sum() - 1.0), np.max(-excess), np.abs(excess)[point > 0.0].max()
    )


def coneness(gram: np.ndarray, rows: np.ndarray) -> float:
    """How far combinations are from the optimality in the dual cone, relative to G and them."""
    above = rows - np.eye(len(gram))[: len(rows)]
    inner = rows @ gram / (np.diag(gram).max() or 1.0) / np.abs(rows).sum(1, keepdims=True)
    return max(np.max(-above), np.max(-inner), np.abs(inner)[above > 0.0].max(initial=0.0))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_orthogonal_points_of_very_different_length(dtype):
    squares = np.array([1e-8, 4e-8, 1.0, 1e8])
    with jax.enable_x64(dtype == "float64"):
        point = jax.jit(min_norm_point)(jnp.array(np.diag(squares), dtype))
    # By hand: a_i is proportional to 1 / G_ii.
    np.testing.assert_allclose(point, (1 / squares) / (1 / squares).sum(), rtol=TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("gram", "expected"),
    [
        ([[18.0, -22.0], [-22.0, 38.0]], [0.6, 0.4]),  # by hand: (38 + 22) / (18 + 38 + 44).
        ([[1.0, 2.0], [2.0, 9.0]], [1.0, 0.0]),  # by hand: <g1, g2> >= |g1|^2.
        ([[1.0, -2.0], [-2.0, 4.0]], [2 / 3, 1 / 3]),  # by hand: opposed, of lengths 1 and 2.
        ([[0.0, 0.0], [0.0, 1.0]], [1.0, 0.0]),  # by hand: zero is the shortest.
        ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5]),  # by definition.
    ],
)
def test_shortest_point_of_two(gram, expected):
    point = jax.jit(min_norm_point)(jnp.array(gram))
    np.testing.assert_allclose(point, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("lower", "expected"),
    [
        ([1.0, 0.0], [1.0, 22 / 38]),  # by hand: g1 - <g1, g2> / |g2|^2 g2.
        ([0.0, 1.0], [22 / 18, 1.0]),
        ([1.0, 1.0], [22 / 18, 1.0]),  # by hand: g1 + g2 still conflicts with g1.
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_dual_cone_of_two(lower, expected):
    gram = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
    np.testing.assert_allclose(
        jax.jit(project_dual_cone)(gram, jnp.array(lower)), expected, rtol=1e-6
    )


def test_agrees_with_trying_every_face():
    random = np.random.default_rng(5)
    points = random.normal(size=(20, 4, 3)) + 0.5 * random.normal(size=(20, 1, 3))
    grams = points @ points.swapaxes(1, 2)
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(jax.vmap(min_norm_point))(jnp.array(grams)))
    for gram, weights in zip(grams, found, strict=True):
        np.testing.assert_allclose(weights @ gram @ weights, shortest(gram), atol=1e-12)


def shortest(gram):
    """The least squared length over all faces of the simplex on which it is inside."""
    lengths = []
    for size in range(1, len(gram) + 1):
        for face in map(list, itertools.combinations(range(len(gram)), size)):
            weights = np.linalg.pinv(gram[np.ix_(face, face)]).sum(1)
            weights /= weights.sum()
            if (weights >= 0).all():
                lengths.append(weights @ gram[np.ix_(face, face)] @ weights)
    # Four points in three dimensions may have zero inside.
    system = np.vstack([gram, np.ones(len(gram))])
    _, miss = scipy.optimize.nnls(system, np.append(np.zeros(len(gram)), 1.0))
    return 0.0 if miss < 1e-9 else min(lengths)


def test_agrees_with_nonnegative_least_squares():
    random = np.random.default_rng(3)
    for rows, columns in ((30, 12), (12, 12)):
        system, target = random.normal(size=(rows, columns)), random.normal(size=rows)
        with jax.enable_x64(True):
            solve = jax.jit(solve_nonneg_qp)
            x = solve(jnp.array(system.T @ system), jnp.array(system.T @ target))
        np.testing.assert_allclose(x, scipy.optimize.nnls(system, target)[0], atol=1e-9)


def test_vmap_is_the_loop():
    kinds = jacobians(5)
    grams = jnp.array([rows @ rows.T for rows in (kinds["normal"], kinds["conflicting"])])
    both = jax.jit(jax.vmap(cones))(grams)
    one = jax.jit(cones)
    np.testing.assert_allclose(both, [one(gram) for gram in grams], rtol=1e-5, atol=1e-6)


ALL_THREE = jax.jit(
    lambda gram, linear: (min_norm_point(gram), cones(gram), solve_nonneg_qp(gram, linear))
)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (2, 2), (1, 2)], ids=str)
def test_what_is_not_finite_comes_out_as_nan(value, place):
    gram = np.diag([1.0, 2.0, 0.0]).astype("float32")
    gram[place] = gram[place[::-1]] = value
    linear = np.ones(3, "float32")
    for found in ALL_THREE(gram, linear):
        assert np.isnan(found).all()
    linear[1] = value
    assert np.isnan(ALL_THREE(np.eye(3, dtype="float32"), linear)[2]).all()


def test_a_rounded_indefinite_matrix_is_solved_all_the_same():
    gram = np.full((16, 16), 1.0, "float32")
    noise = np.random.default_rng(0).normal(size=gram.shape).astype("float32")
    gram += 1e-5 * (noise + noise.T)
    assert np.linalg.eigvalsh(gram).min() < -1e-5
    point = np.asarray(jax.jit(min_norm_point)(gram))
    np.testing.assert_allclose([point.sum(), point @ gram @ point], [1.0, 1.0], atol=1e-4)


def test_unit_scale():
    gram = jnp.array([[4.0, -1.0], [-1.0, 1.0]])
    np.testing.assert_allclose(normalize_gram(gram), gram / 4.0)
    np.testing.assert_allclose(normalize_gram(1e37 * gram), gram / 4.0, rtol=1e-6)
    np.testing.assert_array_equal(normalize_gram(jnp.zeros((2, 2))), jnp.zeros((2, 2)))
    assert np.isnan(normalize_gram(jnp.array([[0.0, jnp.nan], [jnp.nan, 0.0]]))[0, 1])


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((2, 3)), np.ones((2, 2), int)], ids=str)
def test_wrong_shapes_and_dtypes_are_refused(wrong):
    with pytest.raises(AssertionError):
        min_norm_point(wrong)
    with pytest.raises(AssertionError):
        project_dual_cone(wrong, np.ones(2))
    with pytest.raises(AssertionError):
        project_dual_cone(np.eye(2), np.ones(3))


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_pseudo_solve_is_the_shortest_least_squares_answer(scale):
    random = np.random.default_rng(0)
    rows, wanted = random.normal(size=(5, 3)), random.normal(size=5)
    gram = rows @ rows.T
    found = jax.jit(pinv_solve)(jnp.array(scale * gram, "float32"), jnp.array(wanted, "float32"))
    np.testing.assert_allclose(scale * np.asarray(found), np.linalg.pinv(gram) @ wanted, rtol=1e-3)
    np.testing.assert_array_equal(jax.jit(pinv_solve)(jnp.zeros((2, 2)), jnp.ones(2)), [0, 0])


def test_eigen_keeps_what_is_not_rounding():
    spectrum = jax.jit(psd_eigh)(jnp.diag(jnp.array([4.0, -1e-9, 0.0, 1e-6, 1e-5])))
    np.testing.assert_allclose(spectrum.values, [-1e-9, 0.0, 1e-6, 1e-5, 4.0], rtol=1e-4)
    np.testing.assert_array_equal(spectrum.nonzero, [False, False, False, True, True])
    assert not jax.jit(psd_eigh)(jnp.zeros((2, 2))).nonzero.any()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_cosines_and_lengths(scale):
    rows = np.array([[0.0, 0.0], [3.0, 4.0], [-1e-12, 0.0]])
    cosine, lengths = jax.jit(cosines)(jnp.array(scale * (rows @ rows.T), "float32"))
    wanted = [[0.0, 0.0, 0.0], [0.0, 1.0, -0.6], [0.0, -0.6, 1.0]]  # by hand.
    if scale < 1.0:  # Its square is no number at all.
        wanted = [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(cosine, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(lengths, [0.0, 1.0, 2e-13 if scale >= 1.0 else 0.0], rtol=1e-5)
