"""Few labels: the walk, balance over several tasks, missing labels, one label an example."""

import jax
import numpy as np
import pytest

from mtl_jax.checks import BadInput
from mtl_jax.data import few_labels, held_out
from mtl_jax.data.labels import balanced, has_label

RNG = np.random.default_rng(0)
SKEWED = {
    "a": RNG.choice(3, 400, p=[0.8, 0.15, 0.05]).astype(np.int32),
    "b": RNG.integers(-1, 10, 400).astype(np.int32),
    "depth": RNG.normal(size=400).astype(np.float32),
}
EVEN = {"a": np.arange(600) % 3, "b": np.arange(600) // 3 % 10}


def walked(classes, count):
    """The rule as it is told: walk the whole order once for each slack."""
    drawn, slack = [], 0
    seen = [{} for _ in classes]
    quota = [-(-count // max(1, len(set(c) - {-1}))) for c in classes]
    while len(drawn) < count:
        for i in range(len(classes[0])):
            have = [s.get(c[i], 0) for s, c in zip(seen, classes, strict=True)]
            full = [h >= q + slack and c[i] != -1
                    for h, q, c in zip(have, quota, classes, strict=True)]  # fmt: skip
            if i in drawn or any(full) or len(drawn) == count:
                continue
            drawn.append(i)
            for s, c in zip(seen, classes, strict=True):
                s[c[i]] = s.get(c[i], 0) + 1
        slack += 1
    return drawn


@pytest.mark.parametrize("count", [10, 37, 150, 400])
def test_draws_what_the_walk_draws(count):
    classes = [SKEWED["a"], SKEWED["b"]]
    np.testing.assert_array_equal(balanced(classes, count), walked(classes, count))


@pytest.mark.parametrize("count", [30, 60, 90])
def test_every_class_of_every_task_has_the_same_number(count):
    index, mask = few_labels(EVEN, count, False, 0)
    assert len(np.unique(index)) == len(index) == count and index.dtype == np.int32
    assert np.ptp(np.bincount(EVEN["a"][index], minlength=3)) <= 1
    assert np.ptp(np.bincount(EVEN["b"][index], minlength=10)) <= 2
    assert all(known.all() for known in mask.values())


def test_rare_classes_are_drawn_before_common_ones_get_more():
    labels = {"a": np.repeat([0, 1], [990, 10])}
    index, _ = few_labels(labels, 100, False, 0)
    np.testing.assert_array_equal(np.bincount(labels["a"][index]), [90, 10])


def test_the_seed_alone_decides():
    one, same, other = (few_labels(SKEWED, 50, False, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert set(one) != set(other)
    np.testing.assert_array_equal(one, np.sort(one))


@pytest.mark.parametrize("count", [50, 400, None])
def test_partial_draws_the_same_examples(count):
    whole, mask = few_labels(SKEWED, count, False, 3)
    index, kept = few_labels(SKEWED, count, True, 3)
    np.testing.assert_array_equal(whole, index)
    assert all((kept[name] <= mask[name]).all() for name in mask)
    np.testing.assert_array_equal(sum(known.astype(int) for known in kept.values()), 1)


def test_partial_shares_tasks_evenly_and_at_random():
    labels = EVEN | {"c": np.zeros(600, int)}
    one, other = (few_labels(labels, 100, True, seed)[1] for seed in (0, 1))
    assert sorted(known.sum() for known in one.values()) == [33, 33, 34]
    assert (one["a"] != other["a"]).any()


@pytest.mark.parametrize("values", [[1.0, np.nan, -2.0], [[1.0, 2.0], [np.nan] * 2, [np.nan, 0.0]]])
def test_missing_numbers_are_seen_by_numpy_and_in_a_compiled_function(values):
    values = np.array(values, np.float32)
    for found in (
        has_label(values),
        has_label(jax.numpy.array(values)),
        jax.jit(has_label)(values),
    ):
        np.testing.assert_array_equal(found, [True, False, True])
    assert jax.jit(has_label)(np.array([-1, 0])).tolist() == [False, True]


def test_partial_makes_up_for_missing_labels():
    labels = {"a": np.zeros(100, int), "b": np.where(np.arange(100) < 60, -1, 0)}
    _, mask = few_labels(labels, None, True, 0)
    assert (mask["a"].sum(), mask["b"].sum()) == (60, 40)


def test_none_draws_all_that_have_a_label():
    labels = {"a": np.array([0, -1, -1, 1]), "depth": np.array([np.nan, 1.0, np.nan, 2.0])}
    index, mask = few_labels(labels, None, False, 0)
    np.testing.assert_array_equal(index, [0, 1, 3])
    np.testing.assert_array_equal(mask["a"], [True, False, True])
    np.testing.assert_array_equal(mask["depth"], [False, True, True])
    assert mask["a"].dtype == bool


def test_labels_of_many_numbers_are_there_if_any_of_them_is():
    nan = np.nan
    labels = {
        "map": np.array([[1.0, 2.0], [nan, 2.0], [nan, nan], [nan, nan]]),
        "a": np.array([0, -1, -1, 1]),
    }
    index, mask = few_labels(labels, None, False, 0)
    np.testing.assert_array_equal(index, [0, 1, 3])
    np.testing.assert_array_equal(mask["map"], [True, True, False])
    np.testing.assert_array_equal(mask["a"], [True, False, True])


def test_unlabelled_examples_are_never_drawn():
    labels = {"a": np.where(np.arange(100) % 2, -1, np.arange(100) % 4 // 2)}
    index, mask = few_labels(labels, 50, False, 0)
    np.testing.assert_array_equal(index, np.arange(0, 100, 2))
    assert mask["a"].all()


def test_numbers_alone_need_no_balance():
    index, _ = few_labels({"depth": np.arange(20.0)}, 7, False, 0)
    assert len(np.unique(index)) == 7


def test_the_order_of_tasks_does_not_matter():
    turned = dict(reversed(SKEWED.items()))
    for partial in (False, True):
        one, two = few_labels(SKEWED, 50, partial, 0), few_labels(turned, 50, partial, 0)
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1]["a"], two[1]["a"])


@pytest.mark.parametrize(
    ("labels", "count", "partial", "text"),
    [
        (EVEN, 601, False, "count must be at most 600, the labelled examples there are, not 601"),
        ({"a": np.array([-1, 0, 1])}, 3, False, "count must be at most 2"),
        (EVEN, 9, False, "count must be at least 10, the classes of a task, not 9"),
        ({"depth": np.ones(3)}, 0, False, "count must be at least 1"),
        ({"a": np.arange(3)}, 3, True, "partial must be False for a single task"),
        ({"a": np.zeros((3, 2), int)}, 3, False, r"labels\['a'\] must be numbers \[N\], not"),
        ({"a": np.arange(3), "b": np.arange(4)}, 3, False, r"labels\['b'\] must be numbers \[N\]"),
        ({}, None, False, "labels must have a task"),
    ],
)
def test_bad_requests_are_named(labels, count, partial, text):
    with pytest.raises(BadInput, match=text):
        few_labels(labels, count, partial, 0)


def test_what_is_held_out_is_of_every_class():
    labels = {"a": np.arange(100) % 10, "b": np.linspace(0, 1, 100)}
    mask = {"a": np.ones(100, bool), "b": np.arange(100) < 50}
    out = held_out(labels, mask, 20, 3)
    np.testing.assert_array_equal(np.bincount(labels["a"][out]), np.full(10, 2))
    assert out.sum() == 20 and mask["b"][out].sum() == 10
    assert (out != held_out(labels, mask, 20, 4)).any()
    assert not held_out(labels, mask, 0, 3).any()


def test_a_task_without_labels_on_one_side_is_refused():
    mask = {"a": np.arange(10) < 9, "b": np.arange(10) == 9}
    labels = {name: np.zeros(10, int) for name in mask}
    with pytest.raises(BadInput, match=r"must leave labels of 'b' on both sides, not \(\d, \d\)"):
        held_out(labels, mask, 3, 0)
