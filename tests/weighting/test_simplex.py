"""Weights over the simplex: not negative, of sum K, and all different."""

import numpy as np
import pytest

from mtl_jax import weighting
from mtl_jax.core.validation import BadInput


@pytest.mark.parametrize("num_tasks", [2, 3, 5])
def test_weights_are_not_negative_and_sum_to_the_number_of_tasks(num_tasks):
    found = np.array([m.weights for m in weighting.simplex_weights(num_tasks, 20)])
    assert found.shape == (20, num_tasks)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(1), num_tasks, atol=3e-3)
    assert len(np.unique(found, axis=0)) == 20
    assert (weighting.simplex_weights(num_tasks, 3)[0].weights == (1.0,) * num_tasks) == (
        num_tasks > 2
    )


def test_larger_counts_keep_the_first_draws():
    assert weighting.simplex_weights(3, 9)[:4] == weighting.simplex_weights(3, 4)


@pytest.mark.parametrize("arguments", [(1, 3), (2, 0)])
def test_wrong_numbers_are_refused(arguments):
    with pytest.raises(BadInput, match="simplex_weights"):
        weighting.simplex_weights(*arguments)
