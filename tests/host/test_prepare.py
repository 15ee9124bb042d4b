"""Prepare: labels by seed, and data that does not fit the tasks."""

import dataclasses

import numpy as np
import pytest

from mtl_jax import data
from mtl_jax.checks import BadInput
from mtl_jax.data import Input, MultiInput, few_labels
from mtl_jax.host.prepare import described, load, prepare
from mtl_jax.protocols import Splits
from tests.small import COLUMN, DATA, HEIGHT, ROW, RUN, part


def arrays(**changes):
    """Training data with some of its arrays changed."""
    return data.Arrays(part(96, 0) | changes, part(40, 1), part(40, 2))


def test_every_seed_draws_labels_of_its_own():
    given = prepare(RUN.but(first_seed=4)).given.streams[""].known
    labels = {name: DATA.train[name] for name in ("row", "column")}
    assert given.index.shape == (2, 24)
    for place, seed in enumerate((4, 5)):
        index, mask = few_labels(labels, 24, False, seed)
        np.testing.assert_array_equal(given.index[place], index)
        for name in labels:
            np.testing.assert_array_equal(given.mask[name][place], mask[name])
    assert (given.index[0] != given.index[1]).any()


def test_only_what_the_tasks_need_is_kept():
    prepared = prepare(RUN.but(tasks=(ROW, HEIGHT), labelled=None))
    stream = prepared.given.streams[""]
    assert set(stream.labels) == set(stream.known.mask) == {"row", "height"}
    assert set(prepared.splits) == {"validation", "test"}
    for name in prepared.splits:
        arrays = prepared.splits[name][""]
        assert set(arrays) == {"image", "row", "height"}
        np.testing.assert_array_equal(arrays["image"], getattr(DATA, name)["image"])
    assert prepared.given.anchor is None and len(stream.image) == 96


def test_a_task_of_several_inputs_may_have_a_number_of_labels_of_its_own():
    few = Input("column", DATA, "column", labelled=9)
    run = RUN.but(data=MultiInput((Input("row", DATA, "row"), few)), labelled=None)
    streams, told = prepare(run).given.streams, described(run).streams
    for name, count in (("row", 96), ("column", 9)):
        assert streams[name].known.index.shape == told[name].known.index.shape == (2, count)
    few = prepare(run.but(labelled=24)).given.streams
    assert [few[name].known.index.shape[1] for name in ("row", "column")] == [24, 9]
    run = run.but(
        data=MultiInput((Input("row", DATA, "row", labelled=97), Input("column", DATA, "column")))
    )
    with pytest.raises(
        BadInput,
        match=r"Input\.labelled must be at most 96, the training examples of 'row' there are, not 97",
    ):
        described(run)


def test_missing_labels_are_fine_and_masked():
    row = part(96, 0)["row"]
    row[:40] = -1
    given = prepare(RUN.but(data=arrays(row=row), labelled=None)).given.streams[""].known
    np.testing.assert_array_equal(given.mask["row"], np.tile(row >= 0, (2, 1)))
    assert given.mask["column"].all()


@pytest.mark.parametrize(
    ("label", "said"),
    [(3, "must lie in 0..2 .* train data has class 3"), (-2, "train data has class -2")],
)
def test_a_class_out_of_range_is_refused(label, said):
    row = part(96, 0)["row"]
    row[7] = label
    with pytest.raises(BadInput, match=f"run 'hard': task 'row' has outputs=3, so .*{said}"):
        prepare(RUN.but(data=arrays(row=row)))


def test_a_class_out_of_range_is_found_in_test_data_too():
    wrong = part(40, 2)
    wrong["column"][0] = 5
    source = data.Arrays(part(96, 0), part(40, 1), wrong)
    with pytest.raises(BadInput, match=r"task 'column'.* the test data has class 5"):
        prepare(RUN.but(data=source))


def test_a_label_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match=r"task 'depth' has no label in the train data .*height"):
        prepare(RUN.but(tasks=(ROW, COLUMN.but(name="depth"))))


def test_equal_sources_are_read_once():
    reads = []

    @dataclasses.dataclass(frozen=True)
    class Counted:
        size: int

        def shapes(self):
            return {}

        def load(self):
            reads.append(self.size)
            return Splits(part(self.size, 0), part(9, 1), part(9, 2))

    load.cache_clear()
    for size in (30, 30, 31):
        prepare(RUN.but(data=Counted(size), labelled=None))
    assert reads == [30, 31]
