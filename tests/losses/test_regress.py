"""squared_error: values, both forms of targets, and what it refuses."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.losses import squared_error


def test_values(variant):
    predictions = jnp.array([[1.0, 2.0], [0.0, 4.0]])
    targets = jnp.array([[0.0, 2.0], [3.0, 0.0]])
    loss = variant(squared_error)(predictions, targets)
    np.testing.assert_allclose(loss, [0.5, 12.5])  # by hand: 1/2, (9 + 16)/2.


def test_one_output_takes_targets_with_and_without_its_axis():
    predictions, targets = jnp.array([[1.0], [5.0]]), jnp.array([3.0, 5.0])
    np.testing.assert_allclose(squared_error(predictions, targets), [4.0, 0.0])
    np.testing.assert_allclose(squared_error(predictions, targets[:, None]), [4.0, 0.0])


def test_whole_numbers_are_fine_as_targets():
    np.testing.assert_allclose(squared_error(jnp.array([[1.5]]), jnp.array([2])), [0.25])


@pytest.mark.parametrize("shape", [(2,), (3,), (2, 1), (3, 2)], ids=str)
def test_targets_are_never_broadcast(shape):
    with pytest.raises(ValueError, match=re.escape(f"predictions (2, 3) and targets {shape}")):
        squared_error(jnp.zeros((2, 3)), jnp.zeros(shape))


def test_whole_numbers_are_refused_as_predictions():
    with pytest.raises(ValueError, match="predictions"):
        squared_error(jnp.zeros((2, 1), int), jnp.zeros(2))
