"""Few labels: level by level, several tasks, missing labels, one label an example."""

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies

from mtl_jax.core.validation import BadInput
from mtl_jax.data import held_out, sample_labelled_subset
from mtl_jax.data.balanced import select_balanced, select_by_level
from mtl_jax.data.labels import has_label
from mtl_jax.data.random_split import generator

RNG = np.random.default_rng(0)
SKEWED = {
    "a": RNG.choice(3, 400, p=[0.8, 0.15, 0.05]).astype(np.int32),
    "b": RNG.integers(-1, 10, 400).astype(np.int32),
    "depth": RNG.normal(size=400).astype(np.float32),
}
EVEN = {"a": np.arange(600) % 3, "b": np.arange(600) // 3 % 10}


FOUR = {"y": np.arange(40) * 7 % 11 % 4}  # 10, 10, 12 and 8 examples.
RARE = {"y": np.repeat([0, 1, 2], [30, 8, 2])}
GAPS = {"y": np.where(np.arange(40) % 3, -1, np.arange(40) % 2)}


@pytest.mark.parametrize(
    ("labels", "count", "seed", "drawn"),
    [
        (FOUR, 8, 0, [0, 3, 12, 13, 16, 19, 22, 28]),
        (FOUR, 8, 1, [11, 12, 26, 28, 30, 32, 34, 37]),
        (FOUR, 16, 0, [0, 3, 4, 8, 12, 13, 14, 16, 18, 19, 21, 22, 23, 24, 28, 33]),
        (RARE, 9, 0, [12, 13, 19, 28, 33, 35, 36, 38, 39]),
        (RARE, 12, 3, [16, 25, 26, 27, 29, 30, 31, 32, 33, 36, 38, 39]),
        (GAPS, 6, 0, [0, 9, 12, 15, 21, 30]),
        (EVEN, 30, 0,
         [22, 45, 48, 88, 105, 108, 116, 119, 144, 152, 157, 182, 213, 224, 238, 262, 273, 284, 332,
          348, 383, 399, 404, 430, 475, 488, 513, 550, 556, 577]),
        (EVEN, 30, 5,
         [3, 57, 61, 71, 168, 185, 218, 265, 281, 285, 302, 308, 312, 327, 357, 433, 443, 466, 467,
          468, 486, 491, 524, 532, 541, 544, 564, 565, 589, 592]),
    ],
)  # fmt: skip
def test_multiples_of_the_classes_are_drawn_as_ever(labels, count, seed, drawn):
    # What commit 8dd7f5c drew, before other numbers were drawn evenly.
    assert sample_labelled_subset(labels, count, False, seed)[0].tolist() == drawn


def ranked(labels, order, count):
    """The first of each class in order, then the second of each, and so on: as many as `count`."""
    had = {}
    ranks = []
    for place, label in enumerate(labels[order].tolist()):
        if label >= 0:
            ranks.append((had.get(label, 0), place))
            had[label] = had.get(label, 0) + 1
    return sorted(int(order[place]) for _, place in sorted(ranks)[:count])


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    sizes=strategies.lists(strategies.integers(1, 12), min_size=1, max_size=7),
    missing=strategies.integers(0, 5),
    more=strategies.integers(0, 40),
    seed=strategies.integers(0, 9),
)
def test_classes_of_one_task_fill_up_level_by_level(sizes, missing, more, seed):
    labels = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(missing, -1)])
    labels = np.random.default_rng(seed).permutation(labels)
    count = min(len(sizes) + more, sum(sizes))
    index, _ = sample_labelled_subset({"y": labels}, count, False, seed)
    there = np.flatnonzero(labels >= 0)
    order = generator(seed, "few_labels").permutation(there)
    assert index.tolist() == ranked(labels, order, count)
    had = np.bincount(labels[index], minlength=len(sizes))
    unfinished = had < np.array(sizes)
    # No class has its (k+1)-th label before all that have examples left have k.
    assert had.sum() == count and had.min() >= 1
    assert had.max() <= had[unfinished].min(initial=count) + 1
    floats = np.where(labels < 0, np.nan, labels)
    if len(sizes) == 2:
        assert (
            sample_labelled_subset({"y": floats}, count, False, seed)[0].tolist() == index.tolist()
        )
        assert (
            sample_labelled_subset({"y": floats[:, None]}, count, False, seed)[0].tolist()
            == index.tolist()
        )


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
    numbers=strategies.lists(strategies.integers(2, 5), min_size=2, max_size=3),
    count=strategies.integers(5, 60),
    seed=strategies.integers(0, 9),
)
def test_several_tasks_are_even_for_every_number_where_all_combinations_abound(
    numbers, count, seed
):
    grid = np.indices(numbers).reshape(len(numbers), -1)
    labels = {f"task {i}": np.tile(row, 60) for i, row in enumerate(grid)}
    index, _ = sample_labelled_subset(labels, count, False, seed)
    assert len(np.unique(index)) == count
    for values, number in zip(labels.values(), numbers, strict=True):
        assert np.ptp(np.bincount(values[index], minlength=number)) <= 1


def one_by_one(classes, count):
    """The rule of `select_by_level` on lists: what is new, the most ahead, the sum, the place."""
    rows, drawn = list(zip(*classes.tolist(), strict=True)), []
    had = [dict.fromkeys(own, 0) for own in classes.tolist()]
    for _ in range(count):
        left = [place for place in range(len(rows)) if place not in drawn]
        known = [[rows[p][t] for p in left if rows[p][t] >= 0] for t in range(len(had))]
        fewest = [
            min((own[kind] for kind in kinds), default=0)
            for own, kinds in zip(had, known, strict=True)
        ]

        def cost(place, fewest=fewest):
            pairs = [(t, kind) for t, kind in enumerate(rows[place]) if kind >= 0]
            ahead = [had[t][kind] - fewest[t] for t, kind in pairs]
            new = sum(had[t][kind] == 0 for t, kind in pairs)
            return -new, max(ahead, default=0), sum(ahead), place

        drawn.append(min(left, key=cost))
        for own, kind in zip(had, rows[drawn[-1]], strict=True):
            own[kind] += 1
    return drawn


def test_several_tasks_are_drawn_by_the_rule_that_is_written_down():
    random = np.random.default_rng(0)
    for _ in range(150):
        tasks, size = shape = random.integers(1, 7), random.integers(8, 25)
        common, missing = random.uniform(0.4, 0.9), random.choice([0.1, 0.5])
        classes = np.where(random.random(shape) < common, 0, random.integers(0, 4, shape))
        classes[random.random(shape) < missing] = -1
        count = int(random.integers(1, size + 1))
        wanted = one_by_one(classes, count)
        assert select_by_level(classes, count).tolist() == wanted
        numbers = [len(set(row.tolist()) - {-1}) for row in classes]
        if tasks == 1 or any(number == 0 or count % number for number in numbers):
            assert select_balanced(list(classes), count).tolist() == wanted


@pytest.mark.parametrize("count", [10, 11, 15, 20, 30])
def test_no_class_of_several_tasks_goes_without_a_label_where_one_can_have_it(count):
    rng = np.random.default_rng(7)
    labels = {
        "a": rng.choice(2, 500, p=[0.95, 0.05]),
        "b": rng.choice(10, 500, p=np.arange(1, 11) ** 2 / 385),
    }
    for seed in range(10):
        index, _ = sample_labelled_subset(labels, count, False, seed)
        assert all(len(np.unique(v[index])) == len(np.unique(v)) for v in labels.values())


def test_tasks_on_examples_of_their_own_are_even_too():
    """Each example has a label of one task: no number of one task's is due to the other's."""
    own = np.arange(200) % 2 == 0
    labels = {"a": np.where(own, np.arange(200) // 2 % 5, -1),
              "b": np.where(own, -1, np.arange(200) // 2 % 5)}  # fmt: skip
    for seed in range(5):
        index, mask = sample_labelled_subset(labels, 20, False, seed)
        for name, values in labels.items():
            had = np.bincount(values[index][mask[name]], minlength=5)
            assert np.ptp(had) <= 1, (seed, name, had)


def test_unsigned_integers_and_truth_values_are_classes():
    values = np.arange(40) % 2
    wanted = sample_labelled_subset({"y": values}, 11, False, 0)[0]
    for kind in (np.uint8, np.uint16, np.int8, bool, np.float64):
        np.testing.assert_array_equal(
            sample_labelled_subset({"y": values.astype(kind)}, 11, False, 0)[0], wanted
        )


@pytest.mark.parametrize("count", [9, 12])
def test_a_missing_label_in_floats_is_one_in_integers(count):
    random = np.random.default_rng(3)
    whole = {name: random.choice([-1, 0, 1], 40, p=[0.6, 0.3, 0.1]) for name in "ab"}
    floats = {name: np.where(own < 0, np.nan, own) for name, own in whole.items()}
    for seed in range(5):
        for partial in (False, True):
            index, mask = sample_labelled_subset(whole, count, partial, seed)
            found, known = sample_labelled_subset(floats, count, partial, seed)
            np.testing.assert_array_equal(found, index)
            assert all((known[name] == mask[name]).all() for name in "ab")


def test_positives_of_a_binary_task_in_floats_are_half_of_the_labels():
    labels = np.where(np.arange(300) % 20 == 0, 1.0, 0.0)
    labels[::7] = np.nan
    for seed in range(5):
        drawn = labels[sample_labelled_subset({"y": labels}, 10, False, seed)[0]]
        assert (drawn == 1).sum() == 5


@pytest.mark.parametrize("count", [30, 60, 90])
def test_every_class_of_every_task_has_the_same_number(count):
    index, mask = sample_labelled_subset(EVEN, count, False, 0)
    assert len(np.unique(index)) == len(index) == count and index.dtype == np.int32
    assert np.ptp(np.bincount(EVEN["a"][index], minlength=3)) <= 1
    assert np.ptp(np.bincount(EVEN["b"][index], minlength=10)) == 0
    assert all(known.all() for known in mask.values())


def test_rare_classes_are_drawn_before_common_ones_get_more():
    labels = {"a": np.repeat([0, 1], [990, 10])}
    index, _ = sample_labelled_subset(labels, 100, False, 0)
    np.testing.assert_array_equal(np.bincount(labels["a"][index]), [90, 10])


def test_the_seed_alone_decides():
    one, same, other = (sample_labelled_subset(SKEWED, 50, False, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert set(one) != set(other)
    np.testing.assert_array_equal(one, np.sort(one))


@pytest.mark.parametrize("count", [50, 400, None])
def test_partial_draws_the_same_examples(count):
    whole, mask = sample_labelled_subset(SKEWED, count, False, 3)
    index, kept = sample_labelled_subset(SKEWED, count, True, 3)
    np.testing.assert_array_equal(whole, index)
    assert all((kept[name] <= mask[name]).all() for name in mask)
    np.testing.assert_array_equal(sum(known.astype(int) for known in kept.values()), 1)


def test_partial_shares_tasks_evenly_and_at_random():
    labels = EVEN | {"c": np.zeros(600, int)}
    one, other = (sample_labelled_subset(labels, 100, True, seed)[1] for seed in (0, 1))
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


def test_partial_leaves_no_class_without_a_label():
    # 2 examples a class and task: by lot alone a quarter of the classes would keep none.
    for seed in range(10):
        labels = {
            name: np.random.default_rng(i).integers(0, 10, 400) for i, name in enumerate("ab")
        }
        for count in (30, 31, 40):
            index, mask = sample_labelled_subset(labels, count, True, seed)
            assert abs(int(mask["a"].sum()) - int(mask["b"].sum())) <= 1
            for name, values in labels.items():
                assert len(np.unique(values[index][mask[name]])) == 10


def test_partial_keeps_what_left_no_class_out_as_ever():
    kept = [1, 2, 10, 12, 13, 15, 18, 19, 21, 22, 23, 25, 27, 28, 29, 31, 34, 36, 37, 41, 42, 44, 46,
            49, 50, 51, 52, 56, 58, 59]  # fmt: skip  # What commit 8dd7f5c kept.
    assert np.flatnonzero(sample_labelled_subset(EVEN, 60, True, 0)[1]["a"]).tolist() == kept


def test_partial_makes_up_for_missing_labels():
    labels = {"a": np.zeros(100, int), "b": np.where(np.arange(100) < 60, -1, 0)}
    _, mask = sample_labelled_subset(labels, None, True, 0)
    assert (mask["a"].sum(), mask["b"].sum()) == (60, 40)


def test_none_draws_all_that_have_a_label():
    labels = {"a": np.array([0, -1, -1, 1]), "depth": np.array([np.nan, 1.0, np.nan, 2.0])}
    index, mask = sample_labelled_subset(labels, None, False, 0)
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
    index, mask = sample_labelled_subset(labels, None, False, 0)
    np.testing.assert_array_equal(index, [0, 1, 3])
    np.testing.assert_array_equal(mask["map"], [True, True, False])
    np.testing.assert_array_equal(mask["a"], [True, False, True])


def test_unlabelled_examples_are_never_drawn():
    labels = {"a": np.where(np.arange(100) % 2, -1, np.arange(100) % 4 // 2)}
    index, mask = sample_labelled_subset(labels, 50, False, 0)
    np.testing.assert_array_equal(index, np.arange(0, 100, 2))
    assert mask["a"].all()


def test_numbers_alone_need_no_balance():
    index, _ = sample_labelled_subset({"depth": np.arange(20.0)}, 7, False, 0)
    assert len(np.unique(index)) == 7


def test_the_order_of_tasks_does_not_matter():
    turned = dict(reversed(SKEWED.items()))
    for partial in (False, True):
        one, two = (
            sample_labelled_subset(SKEWED, 50, partial, 0),
            sample_labelled_subset(turned, 50, partial, 0),
        )
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
        ({"a": np.array(["x", "y", "z"])}, 3, False, r"labels\['a'\] must be numbers \[N, ...\]"),
        (
            {"a": np.arange(3), "b": np.arange(4)},
            3,
            False,
            r"labels\['b'\] must be numbers \[N, ...\]",
        ),
        ({}, None, False, "labels must have a task"),
    ],
)
def test_bad_requests_are_named(labels, count, partial, text):
    with pytest.raises(BadInput, match=text):
        sample_labelled_subset(labels, count, partial, 0)


def test_what_is_held_out_is_of_every_class():
    labels = {"a": np.arange(100) % 10, "b": np.linspace(0, 1, 100)}
    mask = {"a": np.ones(100, bool), "b": np.arange(100) < 50}
    out = held_out(labels, mask, 20, 3)
    np.testing.assert_array_equal(np.bincount(labels["a"][out]), np.full(10, 2))
    assert out.sum() == 20 and mask["b"][out].sum() == 10
    assert (out != held_out(labels, mask, 20, 4)).any()
    assert not held_out(labels, mask, 0, 3).any()


def test_what_is_held_out_where_classes_are_large_is_as_ever():
    out = held_out({"a": np.arange(30) % 5}, {"a": np.ones(30, bool)}, 6, 1)
    assert np.flatnonzero(out).tolist() == [12, 17, 18, 25, 26, 29]  # Of commit 8dd7f5c.


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_a_class_of_one_example_is_trained_on_and_not_held_out(kind):
    labels = {"a": np.repeat([0, 1], [19, 1]).astype(kind), "b": np.arange(20) % 7}
    mask = {"a": np.ones(20, bool), "b": np.arange(20) > 5}
    for seed in range(20):
        out = held_out(labels, mask, 10, seed)
        assert out.sum() == 10 and not out[19]
        assert set(labels["b"][mask["b"] & ~out]) == set(range(7))


def test_yes_and_no_in_floats_are_held_out_alike():
    labels = {"a": np.repeat([0.0, 1.0], [80, 20])}
    for seed in range(5):
        out = held_out(labels, {"a": np.ones(100, bool)}, 20, seed)
        assert labels["a"][out].sum() == 4


def test_one_label_on_each_side_is_enough():
    out = held_out({"a": np.zeros(2, int)}, {"a": np.ones(2, bool)}, 1, 0)
    assert out.sum() == 1


def test_a_task_without_labels_on_one_side_is_refused():
    mask = {"a": np.arange(10) < 9, "b": np.arange(10) == 9}
    labels = {name: np.zeros(10, int) for name in mask}
    with pytest.raises(BadInput, match=r"must leave labels of 'b' on both sides, not \(\d, \d\)"):
        held_out(labels, mask, 3, 0)


def test_maps_are_sampled_without_balance_and_count_if_a_pixel_is_known():
    maps = np.full((6, 2, 2), -1)
    maps[1:, 0, 0] = np.arange(5)
    np.testing.assert_array_equal(has_label(maps), np.arange(6) > 0)
    index, mask = sample_labelled_subset({"maps": maps}, 3, False, 0)
    assert len(index) == 3 and 0 not in index and mask["maps"].all()
