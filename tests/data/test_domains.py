"""Domains: who comes where, whose labels reach training and choice, and what is refused."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, Domains, Input, MultiInput, SmallDigits, SmallMNIST
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.run_data import load_run_data
from tests.data.shapes import check_shapes
from tests.small import ROW, RUN

COUNTS = (6, 4, 3)


def part(number, count, **changes):
    """Images of one grey, which is their domain's number, and labels that tell it too."""
    arrays = {
        "inputs": np.full((count, 2, 2, 1), number, np.uint8),
        "row": np.full(count, number % 3, np.int32),
        "height": np.full((count, 2), 10 * number, np.float32),
    }
    return arrays | changes


def source(number, **changes):
    return Arrays(*(part(number, number + count, **changes) for count in COUNTS))


ONE, OTHER, TARGET = source(0), source(1), source(2)
BLIND = Domains((ONE, OTHER), TARGET)


def number_of(arrays):
    return arrays["inputs"][:, 0, 0, 0]


@pytest.mark.parametrize("labelled", ["sources", "target", "both"])
def test_training_has_all_images_and_their_domain(labelled):
    train = Domains((ONE, OTHER), TARGET, labelled).load().train
    np.testing.assert_array_equal(train["domain"], np.repeat([0, 1, 2], [6, 7, 8]))
    np.testing.assert_array_equal(number_of(train), train["domain"])
    assert train["domain"].dtype == np.int32 and train["inputs"].dtype == np.uint8


@pytest.mark.parametrize(
    ("labelled", "seen"), [("sources", {0, 1}), ("target", {2}), ("both", {0, 1, 2})]
)
def test_only_the_chosen_labels_reach_training_and_choice(labelled, seen):
    splits = Domains((ONE, OTHER), TARGET, labelled).load()
    domain = splits.train["domain"]
    known = np.isin(domain, list(seen))
    np.testing.assert_array_equal(splits.train["row"], np.where(known, domain, -1))
    height = np.where(known, 10.0 * domain, np.nan)
    np.testing.assert_array_equal(splits.train["height"], np.stack([height, height], 1))
    assert set(number_of(splits.validation)) == set(splits.validation["domain"]) == seen
    np.testing.assert_array_equal(splits.validation["row"], splits.validation["domain"])


@pytest.mark.parametrize("labelled", ["sources", "target", "both"])
def test_the_test_part_is_the_targets_untouched(labelled):
    test = Domains((ONE, OTHER), TARGET, labelled).load().test
    np.testing.assert_array_equal(test.pop("domain"), np.full(5, 2))
    assert test.keys() == TARGET.test.keys()
    for name, array in TARGET.test.items():
        np.testing.assert_array_equal(test[name], array)


def test_the_images_of_the_target_alone_come_unlabelled():
    assert BLIND.pools()[""].tolist() == [*range(6 + 7, 6 + 7 + 8)]  # Behind those of two sources.


def test_labels_of_unsigned_integers_are_hidden_too():
    one, two = (
        Arrays(*(part(number, 3, row=np.full(3, number, np.uint8)) for _ in COUNTS))
        for number in (0, 1)
    )
    train = Domains((one,), two).load().train
    assert train["row"].tolist() == [0, 0, 0, -1, -1, -1]


def test_hiding_changes_nothing_that_was_read():
    BLIND.load()
    np.testing.assert_array_equal(TARGET.train["row"], part(2, 8)["row"])
    np.testing.assert_array_equal(TARGET.train["height"], part(2, 8)["height"])


@pytest.mark.parametrize("labelled", [None, 9])
def test_a_run_draws_no_hidden_label(labelled):
    run = RUN.replace(data=BLIND, tasks=(ROW,), labels={"num_labelled": labelled})
    stream = load_run_data(run).train.streams[""]
    index = np.asarray(stream.labelled.index)
    assert index.shape == (2, labelled or 13) and index.max() < 13  # by hand: 6 + 7 of sources.
    assert stream.inputs.shape == abstract_data(run).streams[""].inputs.shape == (21, 2, 2, 1)
    assert (stream.labels["row"][13:] == -1).all()


def test_the_targets_labels_change_nothing_but_the_test():
    """Whatever the target's labels are in training and validation, a blind run sees the same."""
    wrong = ({"row": np.ones(n, np.int32), "height": np.zeros((n, 2), np.float32)} for n in (8, 6))
    other = Arrays(*(part(2, len(p["row"]), **p) for p in wrong), TARGET.test)
    for one, two in zip(BLIND.load(), Domains((ONE, OTHER), other).load(), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


class Gaps(Arrays):
    """A source that says how many of its examples have a label."""

    def num_labelled(self):
        return int((self.train["row"] >= 0).sum())


def test_examples_without_a_label_of_their_own_are_not_counted_as_known():
    gaps = np.array([0, -1, 0, -1, 0, 0], np.int32)
    some = Gaps(part(0, 6, row=gaps), part(0, 4), part(0, 3))
    domains = Domains((some, OTHER), TARGET)
    assert domains.num_labelled() == 4 + 7  # by hand, the second one has all of its 7.
    run = RUN.replace(data=domains, tasks=(ROW,), labels={"num_labelled": None})
    told, read = (
        each.streams[""].labelled.index for each in (abstract_data(run), load_run_data(run).train)
    )
    assert told.shape == read.shape == (2, 11)


def test_shapes_are_told_without_reading():
    for labelled in ("sources", "target", "both"):
        check_shapes(Domains((ONE,), TARGET, labelled))


REAL = Domains((SmallMNIST(),), SmallDigits())


def test_real_domains_fit_together_unread():
    # by hand: 60 % of 5000 and of 1797.
    assert REAL.shapes()["inputs"].shape == (3000 + 1078, 8, 8, 1)
    assert REAL.shapes().keys() == {"inputs", "digit", "domain"}
    np.testing.assert_array_equal(REAL.pools()[""], np.arange(3000, 4078))
    assert REAL.num_labelled() == 3000


def test_prints_as_its_own_source():
    assert eval(repr(REAL)) == REAL and hash(eval(repr(REAL))) == hash(REAL)
    assert Domains(REAL.sources, REAL.target, "both") != REAL


def with_all(**changes):
    """A source of one example a part."""
    return Arrays(*(part(3, 1, **changes) for _ in COUNTS))


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (
            with_all(inputs=np.zeros((1, 2, 3, 1), np.uint8)),
            r"'inputs' must be uint8 \[2, 2, 1\] in every domain, not uint8 \[2, 3, 1\]",
        ),
        (
            with_all(inputs=np.zeros((1, 2, 2, 1), np.float32)),
            r"'inputs' must be uint8 \[2, 2, 1\] in every domain, not float32 \[2, 2, 1\]",
        ),
        (with_all(row=np.zeros(1, np.float32)), r"'row' must be int32 \[\] in.*not float32"),
        (with_all(more=np.zeros(1)), r"the labels \['height', 'row'\], not \['height', 'more'"),
        (MultiInput((Input("row", ONE, "row"),)), r"must have \"inputs\" itself, not \['row'\]"),
    ],
)
def test_domains_that_differ_are_named(other, text):
    domains = Domains((ONE,), other)
    for told in (domains.shapes, domains.load):
        with pytest.raises(BadInput, match=f"Domains: .*{text}"):
            told()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"domain": np.zeros(1, np.int32)}, "no label may be called 'domain'"),
    ],
)
def test_labels_that_cannot_be_hidden_are_named(changes, text):
    one, two = with_all(**changes), with_all(**changes, row=np.ones(1, np.int32))
    with pytest.raises(BadInput, match=f"Domains: {text}"):
        Domains((one,), two).shapes()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"sources": ()}, "Domains.sources must be a tuple of at least one"),
        ({"sources": ONE}, "Domains.sources must be a tuple of at least one"),
        ({"sources": ("mnist",)}, "Domains.sources must be sources such as .* not 'mnist'"),
        ({"target": Arrays}, "Domains.target must be sources such as"),
        ({"sources": (ONE, source(0))}, "Domains.sources must not hold a domain twice"),
        ({"target": source(1)}, "Domains.target must not hold a domain twice"),
        ({"labelled": "all"}, r"Domains.labelled must be one of \('sources', 'target', 'both'\)"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        Domains(**{"sources": (ONE, OTHER), "target": TARGET} | settings)
