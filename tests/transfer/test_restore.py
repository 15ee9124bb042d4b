"""restore_params: takes the whole trunk over or none of it, and names all that does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import HEADS, restore_batch_stats, restore_params

PARAMS = {
    "shared": {"a": {"kernel": jnp.zeros((2, 3))}, "b": {"kernel": jnp.zeros((3, 4))}},
    "tasks": {"heads": {"digit": {"kernel": jnp.ones((4, 2))}}},
}
LOADED = {
    "shared": {"b": {"kernel": np.full((3, 4), 2.0)}, "a": {"kernel": np.full((2, 3), 1.0)}},
    "tasks": {"heads": {"digit": {"kernel": np.full((4, 2), 3.0)}, "wear": {"bias": np.ones(7)}}},
}


def test_the_trunk_is_replaced_and_the_heads_stay():
    params = restore_params(PARAMS, LOADED)
    assert jax.tree.structure(params) == jax.tree.structure(PARAMS)
    np.testing.assert_array_equal(params["shared"]["a"]["kernel"], np.full((2, 3), 1.0))
    np.testing.assert_array_equal(params["shared"]["b"]["kernel"], np.full((3, 4), 2.0))
    assert params["shared"]["a"]["kernel"].dtype == jnp.float32
    np.testing.assert_array_equal(params["tasks"]["heads"]["digit"]["kernel"], np.ones((4, 2)))
    np.testing.assert_array_equal(PARAMS["shared"]["a"]["kernel"], np.zeros((2, 3)))


def test_heads_are_taken_if_asked():
    source = {**LOADED, "tasks": {"heads": {"digit": LOADED["tasks"]["heads"]["digit"]}}}
    params = restore_params(PARAMS, source, HEADS)
    np.testing.assert_array_equal(params["tasks"]["heads"]["digit"]["kernel"], np.full((4, 2), 3.0))


def test_a_path_may_go_to_several_places():
    twice = {"shared": {"old": PARAMS["shared"], "new": PARAMS["shared"]}, "tasks": {}}
    take = ((r"shared/(.*)", r"shared/old/\1"), (r"shared/(.*)", r"shared/new/\1"))
    params = restore_params(twice, LOADED, take)
    for place in ("old", "new"):
        np.testing.assert_array_equal(params["shared"][place]["b"]["kernel"], np.full((3, 4), 2.0))
    stats = {"old": {"mean": jnp.zeros(2)}, "new": {"mean": jnp.zeros(2)}}
    moved = restore_batch_stats(stats, {"mean": np.ones(2)}, take)
    np.testing.assert_array_equal(moved["new"]["mean"], [1.0, 1.0])


def test_statistics_of_heads_are_taken_only_if_asked():
    def stats(value, *heads):
        parts = {name: {"norm": {"mean": jnp.full(2, value)}} for name in heads}
        return {"norm": {"mean": jnp.full(2, value)}, "heads": parts}

    ours, source = stats(0.0, "digit", "color"), stats(7.0, "digit", "shape")
    for param_map, expected in (((), 0.0), (((r"(tasks/heads/digit/.*)", r"\1"),), 7.0)):
        moved = restore_batch_stats(ours, source, param_map)
        np.testing.assert_array_equal(moved["norm"]["mean"], [7.0, 7.0])
        np.testing.assert_array_equal(moved["heads"]["digit"]["norm"]["mean"], 2 * [expected])
        np.testing.assert_array_equal(moved["heads"]["color"]["norm"]["mean"], [0.0, 0.0])
    file = {"norm": {"mean": np.ones(2)}}
    assert restore_batch_stats(ours, file)["heads"] == ours["heads"]


def test_what_is_fresh_stays_as_it_was_drawn():
    ours = {**PARAMS, "shared": {**PARAMS["shared"], "adapter": {"bias": jnp.full(2, 9.0)}}}
    params = restore_params(ours, LOADED, (), ("shared/adapter/.*",))
    np.testing.assert_array_equal(params["shared"]["adapter"]["bias"], [9.0, 9.0])
    with pytest.raises(BadInput, match=r"missing shared/adapter/bias \(2,\)"):
        restore_params(ours, LOADED)
    with pytest.raises(BadInput, match=r"new_params: 'shared/adaptor/.\*' matches no"):
        restore_params(ours, LOADED, (), ("shared/adaptor/.*",))


def test_what_is_fresh_is_not_taken_over_either():
    params = restore_params(PARAMS, LOADED, (), ("shared/b/.*",))
    np.testing.assert_array_equal(params["shared"]["b"]["kernel"], np.zeros((3, 4)))
    np.testing.assert_array_equal(params["shared"]["a"]["kernel"], np.full((2, 3), 1.0))


def test_a_place_is_given_once():
    take = ((r"shared/a/(.*)", r"shared/b/\1"), (r"shared/b/(.*)", r"shared/b/\1"))
    with pytest.raises(BadInput, match="'shared/b/kernel' is given twice"):
        restore_params(PARAMS, LOADED, take)


def test_it_works_under_jit():
    params = jax.jit(restore_params)(PARAMS, jax.tree.map(lambda leaf: leaf + 1.0, LOADED))
    np.testing.assert_array_equal(params["shared"]["b"]["kernel"], np.full((3, 4), 3.0))


def test_one_error_names_all_that_does_not_fit():
    loaded = {
        "shared": {"a": {"kernel": np.zeros((3, 3))}, "c": {"bias": np.zeros(7)}},
        "tasks": {},
    }
    with pytest.raises(BadInput) as error:
        restore_params(PARAMS, loaded)
    text = str(error.value)
    assert "missing shared/b/kernel (3, 4)" in text
    assert "extra shared/c/bias (7,)" in text
    assert "misshapen shared/a/kernel (3, 3), needs (2, 3)" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("take", "said"),
    [
        ((("tasks/heads/row/.*", "x"),), "'tasks/heads/row/.*' matches nothing of the source"),
        ((("(", "x"),), "no regular expression"),
        (((r"tasks/heads/wear/(.*)", r"tasks/heads/digit/\1"),), "extra tasks/heads/digit/bias"),
    ],
)
def test_bad_tables_are_refused(take, said):
    with pytest.raises(BadInput, match=said.replace("(", r"\(") if "(" in said else said):
        restore_params(PARAMS, LOADED, take)


def test_without_a_shared_trunk_it_says_so():
    with pytest.raises(BadInput, match="shared trunk"):
        restore_params({"shared": {}, "tasks": {}}, LOADED)
