"""graph_laplacian: values by hand, what a graph leaves out, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.sharing import GraphLaplacian, graph_laplacian, mean_l2

CHAIN = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.5), (0.0, 0.5, 0.0))
each = jax.jit(jax.value_and_grad(graph_laplacian), static_argnums=1)


def test_values_and_gradient():
    stacked = {
        "a": jnp.array([[1.0, 0.0], [3.0, 1.0], [3.0, 5.0]]),
        "b": jnp.array([0.0, 0.0, 2.0]),
    }
    value, grad = each(stacked, CHAIN)
    np.testing.assert_allclose(value, (4 + 1) + 0.5 * 16 + 0.5 * 4)  # by hand.
    np.testing.assert_allclose(grad["a"], [[-4, -2], [4, 2 - 4], [0, 4]])  # 2 L w.


def test_all_pairs_are_the_distance_from_the_mean():
    rows = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32))
    complete = tuple(tuple(float(i != j) / 4 for j in range(4)) for i in range(4))
    np.testing.assert_allclose(each(rows, complete)[0], mean_l2(rows), rtol=1e-5)


def test_equal_tasks_are_exactly_zero():
    row = np.random.default_rng(0).normal(size=(1, 50)).astype(np.float32)
    value, grad = each(np.repeat(row, 3, 0), CHAIN)
    assert value == 0.0
    np.testing.assert_array_equal(grad, np.zeros((3, 50)))


def test_the_diagonal_adds_nothing():
    rows = jnp.arange(6.0).reshape(3, 2)
    looped = ((9.0, 1.0, 0.0), (1.0, 9.0, 0.5), (0.0, 0.5, 9.0))
    np.testing.assert_allclose(each(rows, looped)[0], each(rows, CHAIN)[0], rtol=1e-6)


@pytest.mark.parametrize(
    "adjacency",
    [
        (),
        ((0.0, 1.0),),
        ((0.0, 1.0), (2.0, 0.0)),
        ((0.0, -1.0), (-1.0, 0.0)),
    ],
    ids=str,
)
def test_what_is_no_graph_is_refused(adjacency):
    with pytest.raises(BadInput, match="adjacency must be a tuple"):
        GraphLaplacian(weight=1.0, adjacency=adjacency)


def test_a_graph_of_other_tasks_is_refused():
    params = {"tasks": {"trunk": {"kernel": jnp.ones((2, 3, 3))}}}
    with pytest.raises(BadInput, match="adjacency must have a row for each of the run's 2 tasks"):
        GraphLaplacian(weight=1.0, adjacency=CHAIN)(params, None)
    with pytest.raises(ValueError, match="3 rows for 2 tasks"):
        graph_laplacian(jnp.ones((2, 3)), CHAIN)
