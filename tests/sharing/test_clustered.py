"""clustered: values by hand, its ends, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.sharing import Clustered, clustered, mean_l2

PAIR = ((0, 2), (1,))
ROWS = jnp.array([[0.0, 0.0], [6.0, 0.0], [2.0, 4.0]])
each = jax.jit(jax.value_and_grad(clustered), static_argnums=(1, 2))


def test_values_and_gradient():
    """Means [1, 2] and [6, 0], of all [8/3, 4/3]."""
    within = 2 * (1 + 4)
    between = 2 * (25 + 4) / 9 + (100 + 16) / 9
    np.testing.assert_allclose(each(ROWS, PAIR, 0.0)[0], within, rtol=1e-6)
    np.testing.assert_allclose(each(ROWS, PAIR, 0.5)[0], within + 0.5 * between, rtol=1e-6)
    np.testing.assert_allclose(each(ROWS, PAIR, 0.0)[1], [[-2, -4], [0, 0], [2, 4]], atol=1e-5)


@pytest.mark.parametrize("clusters", [PAIR, ((0, 1, 2),), ((0,), (1,), (2,))], ids=str)
def test_both_variances_are_the_whole(clusters):
    np.testing.assert_allclose(each(ROWS, clusters, 1.0)[0], mean_l2(ROWS), rtol=1e-5)


def test_equal_tasks_are_exactly_zero():
    row = np.random.default_rng(0).normal(size=(1, 50)).astype(np.float32)
    value, grad = each(np.repeat(row, 3, 0), PAIR, 0.3)
    assert value == 0.0
    np.testing.assert_array_equal(grad, np.zeros((3, 50)))


@pytest.mark.parametrize(
    "clusters",
    [
        (),
        ((0,), ()),
        ((0, 0),),
        ((1,),),
        ((0, 2),),
    ],
    ids=str,
)
def test_what_is_no_partition_is_refused(clusters):
    with pytest.raises(BadInput, match="clusters must be a tuple"):
        Clustered(weight=1.0, clusters=clusters)


def test_clusters_of_other_tasks_are_refused():
    params = {"tasks": {"trunk": {"kernel": jnp.ones((2, 3, 3))}}}
    with pytest.raises(BadInput, match="clusters must have each of the run's 2 tasks"):
        Clustered(weight=1.0, clusters=PAIR)(params, None)
    with pytest.raises(ValueError, match="none of 2 tasks"):
        clustered(jnp.ones((2, 3)), PAIR, 1.0)
    with pytest.raises(BadInput, match="between must be at least 0"):
        Clustered(weight=1.0, clusters=PAIR, between=-1.0)
