"""robust: against a split by hand and by long iteration, with its subgradient and its ends."""

import jax
import numpy as np
import pytest

from mtl_jax.sharing import robust, trace_norm

RANDOM = np.random.default_rng(0)
each = jax.jit(jax.value_and_grad(robust))


def shrink(rows, t):
    """Rows, shorter by t."""
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * np.maximum(1 - t / np.maximum(sizes, 1e-300), 0)


def by_splitting(rows, outlier, rounds=3000):
    """The cost of a split that is nearly the best: never below the true least."""
    u, s, _ = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
    rows = u * s / s.max()
    low, own, z = 0 * rows, 0 * rows, 0 * rows
    for _ in range(rounds):
        a, b, c = np.linalg.svd(rows - own + z, full_matrices=False)
        low = a * np.maximum(b - 0.4, 0) @ c
        own = shrink(rows - low + z, 0.4 * outlier)
        z = z + rows - low - own
    rest = np.linalg.norm(rows - low, axis=1).sum()
    return s.max() * (np.linalg.svd(low, compute_uv=False).sum() + outlier * rest)


def tasks_of(kind):
    """Parameters `[K, D]` of every kind."""
    rows = RANDOM.normal(size=(4, 12))
    common = np.outer(RANDOM.normal(size=4), rows[0])
    outlying = common.copy()
    outlying[2] += 3 * rows[2]
    return {"normal": rows, "common": common + 0.1 * rows, "outlying": outlying}[kind]


@pytest.mark.parametrize("kind", ["normal", "common", "outlying"])
@pytest.mark.parametrize("outlier", [0.55, 0.7, 0.9])
def test_it_is_the_least_cost_of_a_split(kind, outlier):
    rows = tasks_of(kind).astype(np.float32)
    value, grad = each(rows.reshape(4, 3, 4), outlier)
    upper = by_splitting(rows, outlier)
    assert upper * (1 - 1e-3) <= value <= upper * (1 + 1e-5)
    z = np.reshape(grad, rows.shape)
    assert np.linalg.norm(z, 2) <= 1 + 1e-5
    assert np.linalg.norm(z, axis=1).max() <= outlier + 1e-5
    np.testing.assert_allclose(np.vdot(z, rows), value, rtol=1e-5)


def test_an_outlier_pays_its_own_price():
    """Four equal tasks share for 2, one at a right angle pays 0.7 a unit of length."""
    rows = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 5]], np.float32)
    np.testing.assert_allclose(each(rows[:, None], 0.7)[0], 2 + 0.7 * 5, rtol=1e-4)


def test_ends():
    kernel = RANDOM.normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(each(kernel, 1.0)[0], trace_norm(kernel), rtol=1e-3)
    alone = 0.5 * np.linalg.norm(kernel.reshape(3, -1), axis=1).sum()
    np.testing.assert_allclose(each(kernel, 0.5)[0], alone, rtol=1e-3)
    assert each(kernel, 0.0)[0] == 0.0


def test_one_task_and_none():
    kernel = RANDOM.normal(size=(1, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(each(kernel, 0.7)[0], 0.7 * np.linalg.norm(kernel), rtol=1e-4)
    value, grad = each(np.zeros((2, 4, 5), np.float32), 0.7)
    assert value == 0.0
    np.testing.assert_array_equal(grad, np.zeros((2, 4, 5)))
