"""Regularised H-score: its definition with scikit-learn's shrinkage, and few examples."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from mtl_jax.transfer.transferability import h_score, regularized_h_score
from mtl_jax.transfer.transferability.regularized_h_score import shrinkage

RANDOM = np.random.default_rng(0)


def example(count, size):
    labels = np.arange(count) % 3
    return RANDOM.normal(size=(count, size)) + 2.0 * np.eye(3, size)[labels], labels


@pytest.mark.parametrize(("count", "size"), [(60, 5), (12, 30), (9, 4)])
def test_against_scikit_learn(count, size):
    features, labels = example(count, size)
    fitted = LedoitWolf().fit(features)
    np.testing.assert_allclose(shrinkage(features), fitted.shrinkage_, rtol=1e-9)
    means = np.stack([features[labels == name].mean(0) for name in range(3)])[labels]
    between = (1.0 - fitted.shrinkage_) * np.cov(means.T)
    wanted = np.trace(np.linalg.inv(fitted.covariance_) @ between)
    np.testing.assert_allclose(regularized_h_score(features, labels), wanted, rtol=1e-8)


def test_with_many_examples_it_is_the_h_score():
    features, labels = example(20000, 4)
    ratio = regularized_h_score(features, labels) / h_score(features, labels)
    np.testing.assert_allclose(ratio, 1.0, rtol=5e-3)


def test_with_few_examples_it_is_not_fooled():
    labels = np.arange(12) % 3
    noise = RANDOM.normal(size=(12, 30))
    np.testing.assert_allclose(h_score(noise, labels), 2.0)  # as if the noise told the class
    assert regularized_h_score(noise, labels) < 1.5


def test_no_variance_and_equal_variances():
    labels = np.array([0, 1, 0, 1])
    assert regularized_h_score(np.full((4, 3), 0.1), labels) == 0.0
    assert shrinkage(np.array([[1.0], [2.0], [3.0], [4.0]])) == 1.0  # nothing is off the diagonal
