"""Krum: known answers, whom it selects, and bad settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import Krum
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)


def weigh(method, rows):
    rows = jnp.array(rows)
    return jax.jit(lambda gram: method.weigh_gram(gram, (), KEY)[0])(rows @ rows.T)


def test_the_outlier_is_dropped():
    rows = [[1.0, 1, 1], [1, 0, 1], [75, -666, 23], [1, 2, 3], [2, 0, 1]]
    weights = weigh(Krum(num_byzantine=1, num_selected=4), rows)
    expected = [1.25, 0.75, 1.5]  # torchjd 0.18.0, Krum.
    np.testing.assert_allclose(weights @ jnp.array(rows), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (Krum(), [0, 0, 1, 0, 0]),  # by hand, three neighbours: 59, 41, 29, 101, 819.
        (Krum(num_byzantine=1), [0, 1, 0, 0, 0]),  # by hand, two: 10, 5, 13, 52, 458.
        (Krum(num_byzantine=2), [1, 0, 0, 0, 0]),  # by hand, one: 1, 1, 4, 16, 169.
        (Krum(num_selected=2), [0, 0.5, 0.5, 0, 0]),
    ],
)
def test_scores_are_squared_distances_to_the_nearest(method, expected):
    np.testing.assert_allclose(weigh(method, [[0.0], [1.0], [3.0], [7.0], [20.0]]), expected)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [([[-3.0]], [1.0]), ([[1.0], [2.0]], [1.0, 0.0]), ([[0.0], [0.0], [0.0]], [1.0, 0.0, 0.0])],
)
def test_few_and_equal_gradients(rows, expected):
    np.testing.assert_array_equal(weigh(Krum(), rows), expected)


def test_bad_settings():
    with pytest.raises(BadInput, match=r"Krum.num_byzantine must be at least 0, not -1"):
        Krum(num_byzantine=-1)
    with pytest.raises(BadInput, match=r"Krum.num_selected must be at least 1, not 0"):
        Krum(num_selected=0)
    with pytest.raises(BadInput, match=r"Krum.num_byzantine must be at most 2 for 5 tasks, not 3"):
        Krum(num_byzantine=3).init(5)
    with pytest.raises(BadInput, match=r"Krum.num_selected must be at most 2 for 2 tasks, not 3"):
        Krum(num_selected=3).weigh_gram(jnp.eye(2), (), KEY)
