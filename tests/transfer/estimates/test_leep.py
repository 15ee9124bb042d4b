"""LEEP: by hand, NCE for hard probabilities, best where classes agree."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer.transferability import leep, nce

RANDOM = np.random.default_rng(0)


def test_value():
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0]])
    # By hand: P(y=0 | z) = (1/3, 1), P(y=1 | z) = (2/3, 0).
    wanted = 0.5 * (np.log(0.5 / 3 + 0.5) + np.log(2 / 3))
    np.testing.assert_allclose(leep(probabilities, np.array([0, 1])), wanted)


def test_hard_probabilities_give_nce():
    source, labels = RANDOM.integers(0, 4, size=50), RANDOM.integers(0, 3, size=50)
    np.testing.assert_allclose(leep(np.eye(5)[source], labels), nce(source, labels))


def test_classes_that_agree_are_best():
    labels = np.arange(12) % 3
    assert leep(np.eye(3)[labels], labels) == 0.0
    # By hand: what tells nothing gives the entropy of the labels.
    np.testing.assert_allclose(leep(np.full((12, 4), 0.25), labels), -np.log(3.0))


def test_logits_are_refused():
    with pytest.raises(BadInput, match="leep needs probabilities"):
        leep(np.array([[2.0, -1.0], [0.0, 1.0]]), np.array([0, 1]))
