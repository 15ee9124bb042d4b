"""Arithmetic of nets: round trips, means, the greedy choice, and errors that name paths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import add_task_vectors, greedy_soup, interpolate, task_vector, uniform_soup


def net(value):
    """Parameters that are all one number."""
    return {"shared": {"kernel": jnp.full((2, 3), value)}, "tasks": [jnp.full(2, value)]}


def equal(tree, value):
    jax.tree.map(lambda leaf: np.testing.assert_allclose(leaf, value, rtol=1e-6), tree)
    return True


def test_a_task_vector_goes_there_and_back():
    vector = jax.jit(task_vector)(net(5.0), net(2.0))
    assert equal(vector, 3.0)
    assert equal(jax.jit(add_task_vectors)(net(2.0), [vector]), 5.0)


def test_vectors_add_up_and_negate():
    vectors = [net(1.0), net(3.0)]
    assert equal(add_task_vectors(net(2.0), vectors, scale=0.5), 4.0)  # by hand
    assert equal(add_task_vectors(net(2.0), vectors, scale=-0.5), 0.0)  # by hand


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0, jnp.float32(0.25)], ids=str)
def test_the_line_between_two_nets(alpha, variant):
    wanted = 2.0 + 4.0 * float(alpha)  # by hand
    assert equal(variant(interpolate)(net(2.0), net(6.0), alpha), wanted)


def test_many_shares_side_by_side():
    found = jax.vmap(interpolate, (None, None, 0))(net(2.0), net(6.0), jnp.linspace(0.0, 1.0, 5))
    np.testing.assert_allclose(found["tasks"][0][:, 0], [2.0, 3.0, 4.0, 5.0, 6.0])


def test_dtypes_stay():
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), net(2.0))
    for tree in (interpolate(half, half, 0.5), uniform_soup([half] * 3)):
        assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(tree))
        assert equal(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree), 2.0)


def test_a_uniform_soup_is_the_mean():
    assert equal(jax.jit(uniform_soup)([net(1.0), net(2.0), net(6.0)]), 3.0)  # by hand
    assert equal(uniform_soup([net(0.1)] * 7), 0.1)
    assert equal(uniform_soup([net(4.0)]), 4.0)


def closeness(best):
    """Higher the nearer parameters are to a number, and a list of all that was scored."""
    seen = []

    def score(params):
        seen.append(float(params["tasks"][0][0]))
        return -abs(params["tasks"][0][0] - best)

    return score, seen


def test_a_greedy_soup_keeps_what_helps():
    score, seen = closeness(3.0)
    soup, members = greedy_soup([net(9.0), net(4.0), net(1.0)], score)
    # By hand: 4 is best, with 1 it is 2.5 and better, with 9 besides 4.67 and worse.
    assert members == (1, 2) and equal(soup, 2.5)
    np.testing.assert_allclose(seen, [9.0, 4.0, 1.0, 2.5, 14.0 / 3.0], rtol=1e-6)


def test_a_candidate_that_changes_nothing_stays():
    soup, members = greedy_soup([net(2.0)] * 3, lambda params: 1.0)
    assert members == (0, 1, 2) and equal(soup, 2.0)


def test_a_score_must_be_a_number():
    with pytest.raises(BadInput, match=r"greedy_soup\.score must give a finite number, not nan"):
        greedy_soup([net(1.0)], lambda params: float("nan"))


TWO = [
    (task_vector, lambda a, b: task_vector(a, b)),
    (add_task_vectors, lambda a, b: add_task_vectors(a, [b])),
    (interpolate, lambda a, b: interpolate(a, b, 0.5)),
    (uniform_soup, lambda a, b: uniform_soup([a, b])),
    (greedy_soup, lambda a, b: greedy_soup([a, b], lambda params: 1.0)),
]


@pytest.mark.parametrize(("function", "call"), TWO)
def test_one_error_names_all_that_does_not_fit(function, call):
    other = {"shared": {"kernel": jnp.ones((3, 3))}, "more": jnp.ones(1)}
    with pytest.raises(BadInput) as error:
        call(net(1.0), other)
    text = str(error.value)
    assert text.startswith(function.__name__) and "\n" not in text
    assert "missing tasks/0 in tree 1" in text
    assert "extra more in tree 1" in text
    assert "misshapen shared/kernel in tree 1, float32 (3, 3), needs float32 (2, 3)" in text


@pytest.mark.parametrize(("function", "call"), TWO)
def test_counters_are_refused_by_name(function, call):
    tree = {"kernel": jnp.ones(2), "step": jnp.array(3)}
    with pytest.raises(BadInput, match=r"no floats step int32 \(\)"):
        call(tree, tree)


@pytest.mark.parametrize("function", [uniform_soup, lambda t: add_task_vectors(net(1.0), t)])
@pytest.mark.parametrize("trees", [[], {"a": jnp.ones(2)}], ids=["none", "a tree"])
def test_a_list_of_trees_is_needed(function, trees):
    with pytest.raises(BadInput, match="must be a list of at least one tree"):
        function(trees)


def test_trees_without_leaves_are_refused():
    with pytest.raises(BadInput, match="there is no leaf"):
        uniform_soup([{}, {}])
