"""NCE: by hand, at most 0, and either label may be missing."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer.transferability import nce


def test_value():
    source, labels = np.array([0, 0, 0, 5]), np.array([1, 1, 0, 0])
    wanted = (2 * np.log(2 / 3) + np.log(1 / 3)) / 4  # by hand
    np.testing.assert_allclose(nce(source, labels), wanted)


def test_labels_that_follow_are_best():
    source = np.arange(12)
    assert nce(source % 6, source % 3) == 0.0
    assert nce(source % 3, source % 6) < 0.0


def test_either_may_be_missing():
    source, labels = np.array([0, 0, 0, 5, -1, 0]), np.array([1, 1, 0, 0, 1, -1])
    np.testing.assert_allclose(nce(source, labels), nce(source[:4], labels[:4]))


def test_source_labels_are_checked():
    with pytest.raises(BadInput, match="nce needs integer source labels"):
        nce(np.array([0.5, 1.0]), np.array([0, 1]))
