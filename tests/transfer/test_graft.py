"""graft: takes the whole trunk over or none of it, and names all that does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.checks import BadInput
from mtl_jax.transfer import graft

PARAMS = {
    "shared": {"a": {"kernel": jnp.zeros((2, 3))}, "b": {"kernel": jnp.zeros((3, 4))}},
    "tasks": {"heads": {"digit": {"kernel": jnp.ones((4, 2))}}},
}


def test_the_trunk_is_replaced_and_the_heads_stay():
    loaded = {"b": {"kernel": np.full((3, 4), 2.0)}, "a": {"kernel": np.full((2, 3), 1.0)}}
    params = graft(PARAMS, loaded)
    assert jax.tree.structure(params) == jax.tree.structure(PARAMS)
    np.testing.assert_array_equal(params["shared"]["a"]["kernel"], np.full((2, 3), 1.0))
    np.testing.assert_array_equal(params["shared"]["b"]["kernel"], np.full((3, 4), 2.0))
    assert params["shared"]["a"]["kernel"].dtype == jnp.float32
    assert params["tasks"] is PARAMS["tasks"]
    np.testing.assert_array_equal(PARAMS["shared"]["a"]["kernel"], np.zeros((2, 3)))


def test_it_works_under_jit():
    loaded = jax.tree.map(lambda leaf: leaf + 1.0, PARAMS["shared"])
    params = jax.jit(graft)(PARAMS, loaded)
    np.testing.assert_array_equal(params["shared"]["b"]["kernel"], np.ones((3, 4)))


def test_one_error_names_all_that_does_not_fit():
    loaded = {"a": {"kernel": np.zeros((3, 3))}, "c": {"bias": np.zeros(7)}}
    with pytest.raises(BadInput) as error:
        graft(PARAMS, loaded)
    text = str(error.value)
    assert "missing b/kernel (3, 4)" in text
    assert "extra c/bias (7,)" in text
    assert "misshapen a/kernel (3, 3), needs (2, 3)" in text
    assert "\n" not in text


def test_without_a_shared_trunk_it_says_so():
    with pytest.raises(BadInput, match="shared trunk"):
        graft({"shared": {}, "tasks": {}}, {})
