"""Geometric median: the best of all points, deaf to outliers, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from mtl_jax.aggregation import GeometricMedian

weigh = jax.jit(lambda gram: GeometricMedian(steps=200).weigh_gram(gram, (), jax.random.key(0))[0])


def median(rows):
    """The combined gradient."""
    rows = np.asarray(rows, np.float32)
    return np.asarray(weigh(jnp.asarray(rows @ rows.T))) @ rows


def test_it_has_the_least_sum_of_distances():
    rows = np.random.default_rng(0).normal(size=(5, 3))
    best = optimize.minimize(lambda d: np.linalg.norm(rows - d, axis=1).sum(), rows.mean(0))
    np.testing.assert_allclose(median(rows), best.x, atol=1e-3)


def test_an_outlier_hardly_moves_it():
    rows = np.array([[1.0, 0.0], [0.9, 0.1], [1.1, -0.1], [1.0, 0.1], [0.0, 0.0]])
    far = rows.copy()
    far[4] = [-300.0, 400.0]
    assert np.linalg.norm(median(far) - median(rows)) < 0.1
    assert np.linalg.norm(far.mean(0) - rows.mean(0)) > 90.0


def test_the_middle_one_of_three_on_a_line():
    np.testing.assert_allclose(median([[1.0, 0.0], [2.0, 0.0], [7.0, 0.0]]), [2.0, 0.0], atol=0.02)


def test_two_tasks_are_averaged():
    np.testing.assert_allclose(median([[3.0, 0.0], [0.0, 1.0]]), [1.5, 0.5], rtol=1e-6)  # by hand
