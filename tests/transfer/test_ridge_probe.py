"""Ridge probes: a plain solve, both forms, features that say nothing, digits, what is refused."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import probe_path, ridge_probe
from mtl_jax.transfer.ridge_probe import RIDGES

RANDOM = np.random.default_rng(0)
RIDGE = (1e-2, 1.0, 1024.0)


def example(count, size):
    labels = np.arange(count) % 3
    return RANDOM.normal(size=(count, size)) + 2.0 * np.eye(3, size)[labels] + 5.0, labels


def plain(features, labels, ridge):
    """The normal equations as they stand."""
    z = (features - features.mean(0)) / (features.std(0) + 1e-5)
    z = np.hstack([z, np.full((len(z), 1), 100.0)])
    y = 2.0 * np.eye(3)[labels] - 1.0
    return np.linalg.solve(z.T @ z + ridge * np.eye(z.shape[1]), z.T @ y)


@pytest.mark.parametrize(("count", "size"), [(30, 6), (12, 20), (9, 8), (9, 9)])
def test_against_a_plain_solve(count, size):
    features, labels = example(count, size)
    path = probe_path(features, labels, RIDGE)
    assert tuple(probe.ridge for probe in path) == RIDGE
    for probe in path:
        wanted = plain(features, labels, probe.ridge)
        np.testing.assert_allclose(probe.weights, wanted, rtol=1e-6, atol=1e-9)
        assert probe.weights.shape == (size + 1, 3) and np.isnan(probe.accuracy)


@pytest.mark.parametrize(("count", "size"), [(30, 6), (12, 20)])
def test_one_decomposition_of_the_smaller_side_serves_all(count, size, monkeypatch):
    seen, eigh = [], np.linalg.eigh

    def noted(matrix):
        seen.append(matrix.shape)
        return eigh(matrix)

    monkeypatch.setattr(np.linalg, "eigh", noted)
    probe_path(*example(count, size))
    assert seen == [(min(count, size),) * 2]


def test_value():
    features, labels = np.array([[0.0], [2.0], [0.0], [2.0]]), np.array([4, 7, 4, 7])
    (probe,) = probe_path(features, labels, (4.0,))
    z = 1.0 / (1.0 + 1e-5)  # by hand: the mean is 1, the deviation 1
    weight = 4.0 * z / (4.0 * z * z + 4.0)  # by hand
    np.testing.assert_allclose(probe.weights, [[-weight, weight], [0.0, 0.0]], atol=1e-12)
    np.testing.assert_array_equal(probe.classes, [4, 7])
    np.testing.assert_array_equal(probe.predict(features), labels)
    np.testing.assert_allclose(probe.scores(np.array([[3.0]])), [[-2 * z * weight, 2 * z * weight]])


def test_the_intercept_is_hardly_held():
    features, labels = RANDOM.normal(size=(8, 2)), np.array([0] * 6 + [1] * 2)
    (probe,) = probe_path(features, labels, (1e4,))
    # By hand: the means of Y are 1/2 and -1/2, and lambda / (10^4 N) = 1/8.
    np.testing.assert_allclose(100.0 * probe.weights[-1], np.array([0.5, -0.5]) / 1.125)


@pytest.mark.parametrize("count", [60, 7])
@pytest.mark.parametrize("ridge", [1e-9, 1.0])
def test_constant_and_repeated_features_do_no_harm(count, ridge):
    features, labels = example(count, 4)
    more = np.hstack([features, np.full((count, 2), 1e6), np.zeros((count, 1)), features])
    (probe,), (fewer,) = (probe_path(each, labels, (ridge,)) for each in (more, features))
    assert np.isfinite(probe.weights).all()
    np.testing.assert_allclose(probe.weights[4:7], 0.0, atol=1e-6)
    # By hand: with every feature twice its weight falls in two, each held by half the ridge.
    (half,) = probe_path(features, labels, (ridge / 2,))
    np.testing.assert_allclose(probe.weights[:4], half.weights[:4] / 2, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(probe.weights[7:11], probe.weights[:4], rtol=1e-4, atol=1e-7)
    if count > 7:
        np.testing.assert_allclose(probe.scores(more), fewer.scores(features), atol=0.05)


def test_digits_as_scikit_learn():
    images, labels = load_digits(return_X_y=True)
    train, test = slice(0, 900), slice(900, None)
    for ridge in (1.0, 1024.0):
        (probe,) = probe_path(images[train], labels[train], (ridge,))
        z = (images - probe.mean) / probe.scale
        theirs = RidgeClassifier(alpha=ridge).fit(z[train], labels[train])
        found = probe.predict(images[test])
        assert (found == theirs.predict(z[test])).mean() > 0.995
        accuracy = theirs.score(z[test], labels[test])
        np.testing.assert_allclose((found == labels[test]).mean(), accuracy, atol=0.005)
    assert (found == labels[test]).mean() > 0.8


def test_validation_chooses_and_ties_go_to_the_larger_ridge():
    features, labels = example(30, 25)
    path = probe_path(features, labels, RIDGES)
    there, wanted = example(300, 25)
    accuracies = np.array([(probe.predict(there) == wanted).mean() for probe in path])
    best = ridge_probe(features, labels, there, wanted)
    assert best.accuracy == accuracies.max() > accuracies.min()
    assert best.ridge == max(np.array(RIDGES)[accuracies == accuracies.max()])
    turned = ridge_probe(features, labels, there, wanted, RIDGES[::-1])
    assert turned.ridge == best.ridge
    easy = ridge_probe(np.eye(3), np.arange(3), np.eye(3), np.arange(3))
    assert easy.accuracy == 1.0 and easy.ridge == RIDGES[-1]


def test_missing_labels_are_left_out_and_unknown_classes_are_wrong():
    features, labels = example(30, 4)
    there = np.arange(30) % 5 > 0
    path = probe_path(features, np.where(there, labels, -1), RIDGE)
    for got, wanted in zip(path, probe_path(features[there], labels[there], RIDGE), strict=True):
        np.testing.assert_allclose(got.weights, wanted.weights)
    known = path[0].predict(features)
    lost = np.where(np.arange(30) < 10, -1, np.where(np.arange(30) < 15, 9, known))
    best = ridge_probe(features, np.where(there, labels, -1), features, lost, RIDGE[:1])
    np.testing.assert_allclose(best.accuracy, 15 / 20)  # by hand


@pytest.mark.parametrize("ridges", [(), (0.0,), (1.0, -1.0), (np.inf,), [1.0], 1.0])
def test_bad_ridges_are_refused(ridges):
    with pytest.raises(BadInput, match=r"probe_path\.ridges must be a tuple of numbers above 0"):
        probe_path(*example(9, 2), ridges)


def test_bad_examples_are_refused():
    features, labels = example(9, 2)
    with pytest.raises(BadInput, match="at least two classes"):
        probe_path(features, 0 * labels)
    with pytest.raises(BadInput, match="finite values, 9 of 9 rows"):
        probe_path(np.nan * features, labels)
    with pytest.raises(BadInput, match="labelled validation examples, there is none"):
        ridge_probe(features, labels, features, np.full(9, -1))
    with pytest.raises(BadInput, match=r"ridge_probe\.validation must have 2 columns, not 1"):
        ridge_probe(features, labels, features[:, :1], labels)
