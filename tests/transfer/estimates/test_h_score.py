"""H-score: by its definition, unchanged by invertible maps, bounds, degenerate features."""

import numpy as np
import pytest

from mtl_jax.transfer.transferability import h_score

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, size=60)
FEATURES = RANDOM.normal(size=(60, 5)) + np.eye(3, 5)[LABELS]


def test_definition():
    means = np.stack([FEATURES[name == LABELS].mean(0) for name in range(3)])[LABELS]
    wanted = np.trace(np.linalg.inv(np.cov(FEATURES.T)) @ np.cov(means.T))
    np.testing.assert_allclose(h_score(FEATURES, LABELS), wanted, rtol=1e-10)


def test_value():
    features = np.array([[0.0], [2.0], [4.0], [6.0]])
    # By hand: variance 5, of the class means 1 and 5 it is 4.
    np.testing.assert_allclose(h_score(features, np.array([0, 0, 1, 1])), 0.8)


def test_invertible_maps_and_shifts_do_not_count():
    mapped = FEATURES @ RANDOM.normal(size=(5, 5)) + 7.0
    np.testing.assert_allclose(h_score(mapped, LABELS), h_score(FEATURES, LABELS), rtol=1e-8)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_repeated_and_constant_features_do_not_count(offset):
    more = np.hstack([FEATURES, FEATURES[:, :2] + FEATURES[:, 1:3], np.ones((60, 1))]) + offset
    np.testing.assert_allclose(h_score(more, LABELS), h_score(FEATURES, LABELS), rtol=1e-6)


def test_features_that_tell_the_class_reach_the_bound():
    np.testing.assert_allclose(h_score(np.eye(3)[LABELS], LABELS), 2.0)  # min(C - 1, D)


def test_no_variance():
    assert h_score(np.full((60, 4), 0.1), LABELS) == 0.0
