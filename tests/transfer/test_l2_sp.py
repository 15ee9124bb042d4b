"""L2-SP: values by hand, where the gradient goes, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import L2SP, l2_sp

ANCHOR = {"shared": {"kernel": jnp.array([[1.0, 2.0]])}, "tasks": {"heads": {"old": jnp.ones(3)}}}
PARAMS = {
    "shared": {"kernel": jnp.array([[2.0, 0.0]])},
    "tasks": {"heads": {"new": jnp.array([3.0, 4.0])}},
}


def test_values():
    both = jax.jit(lambda p, a: (L2SP(0.1)(p, a), L2SP(0.1, 0.01)(p, a)))(PARAMS, ANCHOR)
    np.testing.assert_allclose(both, [0.25, 0.25 + 0.125], rtol=1e-6)  # by hand: 5/2, 25/2.


def test_the_pull_is_towards_the_anchor_and_leaves_it_alone():
    penalty = L2SP(weight=0.1, head_weight=0.01)
    params, anchor = jax.jit(jax.grad(penalty, (0, 1)))(PARAMS, ANCHOR)
    np.testing.assert_allclose(params["shared"]["kernel"], [[0.1, -0.2]], rtol=1e-6)
    np.testing.assert_allclose(params["tasks"]["heads"]["new"], [0.03, 0.04], rtol=1e-6)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(anchor))


def test_the_function_lets_nothing_flow_into_the_anchor():
    grad = jax.jit(jax.grad(l2_sp, 1))(PARAMS["shared"], ANCHOR["shared"])
    np.testing.assert_array_equal(grad["kernel"], [[0.0, 0.0]])


def test_frozen_leaves_are_left_out():
    params = {"a": jnp.array([2.0]), "b": None}
    np.testing.assert_allclose(l2_sp(params, {"a": jnp.array([0.0]), "b": jnp.array([9.0])}), 2.0)
    np.testing.assert_allclose(l2_sp(params, {"a": jnp.array([0.0]), "b": None}), 2.0)


@pytest.mark.parametrize(
    ("anchor", "text"),
    [
        ({"b": jnp.ones(2)}, r"\['a', 'b'\]"),
        ({"a": jnp.ones(2), "b": jnp.ones(2)}, r"\['b'\]"),
        ({"a": jnp.ones(3)}, r"\['a'\]"),
        ({"a": None}, r"\['a'\]"),
    ],
)
def test_other_outlines_are_refused(anchor, text):
    with pytest.raises(ValueError, match=f"params and anchor .*{text}"):
        l2_sp({"a": jnp.ones(2)}, anchor)


@pytest.mark.parametrize("shared", [{}, {"kernel": None}], ids=str)
def test_without_a_shared_trunk_it_says_so(shared):
    with pytest.raises(BadInput, match="needs a shared trunk"):
        L2SP(0.1)({"shared": shared, "tasks": {}}, ANCHOR)


def test_without_a_source_it_says_so():
    with pytest.raises(BadInput, match=r"Initialization\(init_from="):
        L2SP(0.1)(PARAMS, None)


def test_repr_makes_it_again():
    assert eval(repr(L2SP(0.1, 0.2))) == L2SP(0.1, 0.2)
