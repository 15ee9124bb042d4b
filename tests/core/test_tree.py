"""Trees: inner products, averages, parts by path, and the texts of their errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core import tree
from mtl_jax.core.model import ModelOutput
from mtl_jax.core.validation import BadInput

# Gradients of two tasks: (1, 2, 0, 1; 3) and (0, -1, 1, 1; -1).
JACOBIAN = {
    "kernel": jnp.array([[[1.0, 2.0], [0.0, 1.0]], [[0.0, -1.0], [1.0, 1.0]]]),
    "bias": jnp.array([3.0, -1.0]),
}
PARAMS = {
    "shared": {"Dense_0": {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}},
    "tasks": [jnp.ones(()), jnp.ones((4,))],
}
PATHS = ["shared/Dense_0/bias", "shared/Dense_0/kernel", "tasks/0", "tasks/1"]


def test_gram(variant):
    gram = variant(tree.gram)(JACOBIAN)
    np.testing.assert_allclose(gram, [[15.0, -4.0], [-4.0, 4.0]])  # by hand.


def test_gram_of_leaves_is_that_of_the_flat_jacobian():
    random = np.random.default_rng(0)
    leaves = [random.normal(size=(3, *shape)).astype("float32") for shape in [(2, 2), (), (5,)]]
    flat = np.concatenate([leaf.reshape(3, -1) for leaf in leaves], axis=1)
    np.testing.assert_allclose(tree.gram(leaves), flat @ flat.T, rtol=1e-5)


def test_gram_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one leaf"):
        tree.gram({"shared": {}})


def test_combine(variant):
    combined = variant(tree.weighted_sum)(jnp.array([2.0, -1.0]), JACOBIAN)
    np.testing.assert_allclose(combined["kernel"], [[2.0, 5.0], [-1.0, 1.0]])  # by hand.
    np.testing.assert_allclose(combined["bias"], 7.0)


def test_combining_has_the_length_that_the_gram_says():
    weights = jnp.array([0.5, 3.0])
    combined = tree.weighted_sum(weights, JACOBIAN)
    square = sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(combined))
    np.testing.assert_allclose(weights @ tree.gram(JACOBIAN) @ weights, square)


@pytest.mark.parametrize("momentum", [0.9, jnp.float32(0.9)], ids=["number", "array"])
def test_average(variant, momentum):
    old, new = {"a": jnp.array([1.0, 2.0])}, {"a": jnp.array([11.0, 0.0])}
    moved = variant(tree.ema_update)(old, new, momentum)
    np.testing.assert_allclose(moved["a"], [2.0, 1.8], rtol=1e-6)  # by hand.


def test_paths():
    assert tree.leaf_paths(PARAMS) == PATHS
    assert tree.leaf_paths(ModelOutput({"a": jnp.ones(1)}, jnp.ones(2))) == ["logits/a", "features"]
    assert tree.leaf_paths({}) == []


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (("shared/.*",), [True, True, False, False]),
        ((".*kernel", "tasks/1"), [False, True, False, True]),
        ((), [False, False, False, False]),
    ],
)
def test_matches(patterns, chosen):
    found = tree.match_paths(PARAMS, patterns)
    assert jax.tree.leaves(found) == chosen
    assert jax.tree.structure(found) == jax.tree.structure(PARAMS)


def test_a_pattern_must_match_a_whole_path():
    text = "pattern 'shared/Dense_0/kernels' matches no parameter: did you mean shared/Dense_0/kern"
    with pytest.raises(BadInput, match=text):
        tree.match_paths(PARAMS, ["shared/Dense_0/kernels"])
    with pytest.raises(BadInput, match="pattern 'shared' matches no parameter"):
        tree.match_paths(PARAMS, [".*", "shared"])
    with pytest.raises(BadInput, match=f"there is {', '.join(PATHS)}"):
        tree.match_paths(PARAMS, ["zzz"])


def test_split_and_merge():
    chosen = tree.match_paths(PARAMS, ["shared/.*", "tasks/0"])
    kept, rest = tree.partition(PARAMS, chosen)
    assert tree.leaf_paths(kept) == PATHS[:3] and tree.leaf_paths(rest) == PATHS[3:]
    assert kept["tasks"][1] is None and rest["shared"]["Dense_0"]["kernel"] is None
    merged = tree.merge(kept, rest)
    assert jax.tree.structure(merged) == jax.tree.structure(PARAMS)
    for leaf, wanted in zip(jax.tree.leaves(merged), jax.tree.leaves(PARAMS), strict=True):
        assert leaf is wanted


@pytest.mark.parametrize("all_or_none", [True, False])
def test_split_of_all_and_of_nothing(all_or_none):
    parts = tree.partition(PARAMS, jax.tree.map(lambda _: all_or_none, PARAMS))
    assert tree.num_params(parts[0]) == (tree.num_params(PARAMS) if all_or_none else 0)
    assert tree.leaf_paths(tree.merge(*parts)) == PATHS


def test_size():
    assert tree.num_params(PARAMS) == 2 * 3 + 3 + 1 + 4
    assert tree.num_params({}) == 0
