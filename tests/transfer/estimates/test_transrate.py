"""TransRate: by its determinants, by hand, and which way it points."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer.transferability import transrate

RANDOM = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], [30, 20, 10])
FEATURES = RANDOM.normal(size=(60, 4)) + 3.0 * np.eye(3, 4)[LABELS]


def rate(features, epsilon):
    """The coding rate, as it is defined."""
    gram = features.T @ features / (len(features) * epsilon)
    return 0.5 * np.linalg.slogdet(np.eye(features.shape[1]) + gram)[1]


@pytest.mark.parametrize("by_size", [False, True])
def test_definition(by_size):
    centred = FEATURES - FEATURES.mean(0)
    rates = [rate(centred[name == LABELS], 1e-2) for name in range(3)]
    inside = np.average(rates, weights=[3.0, 2.0, 1.0] if by_size else None)
    found = transrate(FEATURES, LABELS, epsilon=1e-2, by_size=by_size)
    np.testing.assert_allclose(found, rate(centred, 1e-2) - inside, rtol=1e-10)


def test_value():
    # By hand: 1 and -1 are 1 off the mean of all, each class's rows too.
    features = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    np.testing.assert_allclose(transrate(features, np.array([0, 0, 1, 1])), 0.0, atol=1e-12)
    found = transrate(np.eye(2)[[0, 0, 1, 1]], np.array([0, 0, 1, 1]), epsilon=0.5)
    np.testing.assert_allclose(found, 0.0, atol=1e-12)


def test_classes_in_directions_of_their_own_are_better_than_noise():
    turn = RANDOM.permutation(60)
    assert transrate(FEATURES, LABELS) > transrate(FEATURES, LABELS[turn])


def test_epsilon_is_checked():
    with pytest.raises(BadInput, match=r"transrate\.epsilon must be above 0"):
        transrate(FEATURES, LABELS, epsilon=0.0)
