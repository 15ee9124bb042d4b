"""orthogonality: values by hand, and what of a kernel it sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.sharing import orthogonality, shared_private_overlap

each = jax.jit(jax.value_and_grad(shared_private_overlap))


def test_overlap_of_features():
    shared = jnp.array([[1.0, 2.0], [0.0, 1.0]])
    assert orthogonality(shared, jnp.array([[3.0], [1.0]])) == 3**2 + 7**2  # by hand.
    assert orthogonality(jnp.array([[1.0], [0.0]]), jnp.array([[0.0, 0.0], [5.0, 2.0]])) == 0.0


def test_differences_in_other_inputs_than_the_mean_cost_nothing():
    mean = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0], [0.0, 0.0]], np.float32)
    other = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 2.0], [3.0, -4.0]], np.float32)
    value, _ = each(np.stack([mean + other, mean - other]))
    assert value == 0.0
    value, _ = each(np.stack([1.5 * mean, 0.5 * mean]))
    np.testing.assert_allclose(value, 2 * 0.25 * np.square(mean.T @ mean).sum(), rtol=1e-6)


def test_equal_tasks_and_one_task_are_exactly_zero():
    row = np.random.default_rng(0).normal(size=(1, 4, 5)).astype(np.float32)
    for count in (1, 7):
        value, grad = each(np.repeat(row, count, 0))
        assert value == 0.0
        np.testing.assert_array_equal(grad, np.zeros((count, 4, 5)))


@pytest.mark.parametrize("shapes", [((3, 2), (4, 2)), ((3,), (3, 2))], ids=str)
def test_what_does_not_fit_is_refused(shapes):
    with pytest.raises(ValueError, match="orthogonality needs"):
        orthogonality(*(jnp.zeros(shape) for shape in shapes))
