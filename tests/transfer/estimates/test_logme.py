"""LogME: against a brute-force evidence over a grid, which way it points, degenerate labels."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer.transferability import logme, logme_regression

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, size=24)
FEATURES = RANDOM.normal(size=(24, 4)) + np.eye(3, 4)[LABELS]
NUMBERS = FEATURES[:, :2] @ RANDOM.normal(size=(2, 2)) + 0.3 * RANDOM.normal(size=(24, 2))


def brute(features, target):
    """Largest log density per example of `N(0, F F^T / a + I / b)`, over a grid of a and b."""
    best = -np.inf
    for spread in np.exp(np.linspace(-9.0, 5.0, 141)):
        for noise in np.exp(np.linspace(-5.0, 3.0, 81)):
            covariance = spread * features @ features.T + noise * np.eye(len(features))
            form = target @ np.linalg.solve(covariance, target)
            value = -0.5 * (np.linalg.slogdet(2.0 * np.pi * covariance)[1] + form)
            best = max(best, value / len(features))
    return best


@pytest.mark.parametrize("target", [NUMBERS[:, 0], (LABELS == 1).astype(float)], ids=["n", "c"])
def test_against_a_grid(target):
    found, wanted = logme_regression(FEATURES, target), brute(FEATURES, target)
    assert 0.0 <= found - wanted < 2e-3  # The grid's points are 10 % apart.


def test_several_columns_and_classes_are_averaged():
    one = [logme_regression(FEATURES, column) for column in NUMBERS.T]
    np.testing.assert_allclose(logme_regression(FEATURES, NUMBERS), np.mean(one))
    one = [logme_regression(FEATURES, 1.0 * (name == LABELS)) for name in range(3)]
    np.testing.assert_allclose(logme(FEATURES, LABELS), np.mean(one))


def test_separable_features_are_better_than_noise():
    noise = RANDOM.normal(size=FEATURES.shape)
    apart = 0.1 * noise + np.eye(3, 4)[LABELS]
    assert logme(apart, LABELS) > logme(FEATURES, LABELS) > logme(noise, LABELS)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_and_rotation_of_features_do_not_count(scale):
    turn = np.linalg.qr(RANDOM.normal(size=(4, 4)))[0]
    np.testing.assert_allclose(
        logme(scale * FEATURES @ turn, LABELS), logme(FEATURES, LABELS), rtol=1e-6
    )


def test_features_that_say_nothing_leave_the_noise():
    features = np.zeros((4, 2))
    wanted = -0.5 * (np.log(2.0 * np.pi * 0.5) + 1.0)  # by hand: y^2 has the mean 1/2
    np.testing.assert_allclose(logme(features, np.array([0, 0, 1, 1])), wanted)


def test_labels_that_features_tell_exactly_are_finite_and_best():
    exact = logme(np.eye(3)[LABELS], LABELS)
    assert np.isfinite(exact) and exact > logme(FEATURES, LABELS) + 5.0


def test_each_column_is_of_the_numbers_that_it_has():
    targets = NUMBERS.copy()
    targets[[1, 5, 7], [0, 1, 0]] = targets[9] = np.nan
    there = ~np.isnan(targets)
    each = [
        logme_regression(FEATURES[own], y[own]) for y, own in zip(targets.T, there.T, strict=True)
    ]
    np.testing.assert_allclose(logme_regression(FEATURES, targets), np.mean(each))


@pytest.mark.parametrize(
    ("features", "targets", "text"),
    [
        (FEATURES, NUMBERS[:3], r"\[3, D\]"),
        (FEATURES, np.full(24, np.nan), "there is none"),
        (FEATURES, np.stack([np.ones(24), np.full(24, np.nan)], 1), "in every column"),
        (FEATURES, np.zeros(24), "other than 0"),
        (FEATURES, np.full(24, np.inf), "finite values"),
        (np.nan * FEATURES, NUMBERS, "finite values"),
    ],
)
def test_bad_numbers_are_refused(features, targets, text):
    with pytest.raises(BadInput, match=f"logme_regression needs .*{text}"):
        logme_regression(features, targets)
