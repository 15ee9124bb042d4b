"""Prepare: labels by seed, and data that does not fit the tasks."""

import dataclasses

import numpy as np
import pytest

from mtl_jax import aggregation, data
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Input, MultiInput, sample_labelled_subset
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.run_data import load, load_run_data
from mtl_jax.storage.streams import num_held_out
from tests.small import COLUMN, DATA, HEIGHT, ROW, RUN, part


def arrays(**changes):
    """Training data with some of its arrays changed."""
    return data.Arrays(part(96, 0) | changes, part(40, 1), part(40, 2))


def test_every_seed_draws_labels_of_its_own():
    given = load_run_data(RUN.replace(first_seed=4)).train.streams[""].labelled
    labels = {name: DATA.train[name] for name in ("row", "column")}
    assert given.index.shape == (2, 24)
    for place, seed in enumerate((4, 5)):
        index, mask = sample_labelled_subset(labels, 24, False, seed)
        np.testing.assert_array_equal(given.index[place], index)
        for name in labels:
            np.testing.assert_array_equal(given.mask[name][place], mask[name])
    assert (given.index[0] != given.index[1]).any()


def test_only_what_the_tasks_need_is_kept():
    prepared = load_run_data(RUN.replace(tasks=(ROW, HEIGHT), labels={"num_labelled": None}))
    stream = prepared.train.streams[""]
    assert set(stream.labels) == set(stream.labelled.mask) == {"row", "height"}
    assert set(prepared.splits) == {"validation", "test"}
    for name in prepared.splits:
        arrays = prepared.splits[name][""]
        assert set(arrays) == {"inputs", "row", "height"}
        np.testing.assert_array_equal(arrays["inputs"], getattr(DATA, name)["inputs"])
    assert prepared.train.source_model is None and len(stream.inputs) == 96


def test_a_task_of_several_inputs_may_have_a_number_of_labels_of_its_own():
    few = Input("column", DATA, "column", labelled=9)
    run = RUN.replace(
        data=MultiInput((Input("row", DATA, "row"), few)), labels={"num_labelled": None}
    )
    streams, told = load_run_data(run).train.streams, abstract_data(run).streams
    for name, count in (("row", 96), ("column", 9)):
        assert streams[name].labelled.index.shape == told[name].labelled.index.shape == (2, count)
    few = load_run_data(run.replace(labels={"num_labelled": 24})).train.streams
    assert [few[name].labelled.index.shape[1] for name in ("row", "column")] == [24, 9]
    run = run.replace(
        data=MultiInput((Input("row", DATA, "row", labelled=97), Input("column", DATA, "column")))
    )
    with pytest.raises(
        BadInput,
        match=r"Input\.labelled must be at most 96, the training examples of 'row' there are, not 97",
    ):
        abstract_data(run)


def test_missing_labels_are_fine_and_masked():
    row = part(96, 0)["row"]
    row[:40] = -1
    given = (
        load_run_data(RUN.replace(data=arrays(row=row), labels={"num_labelled": None}))
        .train.streams[""]
        .labelled
    )
    np.testing.assert_array_equal(given.mask["row"], np.tile(row >= 0, (2, 1)))
    assert given.mask["column"].all()


@pytest.mark.parametrize(
    ("label", "said"),
    [(3, "must lie in 0..2 .* train data has class 3"), (-2, "train data has class -2")],
)
def test_a_class_out_of_range_is_refused(label, said):
    row = part(96, 0)["row"]
    row[7] = label
    with pytest.raises(BadInput, match=f"run 'hard': task 'row' has num_outputs=3, so .*{said}"):
        load_run_data(RUN.replace(data=arrays(row=row)))


def test_a_class_out_of_range_is_found_in_test_data_too():
    wrong = part(40, 2)
    wrong["column"][0] = 5
    source = data.Arrays(part(96, 0), part(40, 1), wrong)
    with pytest.raises(BadInput, match=r"task 'column'.* the test data has class 5"):
        load_run_data(RUN.replace(data=source))


def test_a_label_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match=r"task 'depth' has no label in the train data .*height"):
        load_run_data(RUN.replace(tasks=(ROW, COLUMN.replace(name="depth"))))


def test_equal_sources_are_read_once():
    reads = []

    @dataclasses.dataclass(frozen=True)
    class Counted(DataSource):
        size: int

        def shapes(self):
            return {}

        def load(self):
            reads.append(self.size)
            return Splits(part(self.size, 0), part(9, 1), part(9, 2))

    load.cache_clear()
    for size in (30, 30, 31):
        load_run_data(RUN.replace(data=Counted(size), labels={"num_labelled": None}))
    assert reads == [30, 31]


@pytest.mark.parametrize("name", ["pool", "domain", "label", "labelled", "source", "shared", "a b"])
def test_a_label_may_have_any_name(name):
    """No name of a label means anything else: it is drawn and trained as any other."""
    parts = [{**p, name: p["column"]} for p in (part(96, 0), part(40, 1), part(40, 2))]
    run = RUN.replace(data=data.Arrays(*parts))
    for source in (run.data, data.Resized(run.data, (6, 6))):
        plain, named = (
            load_run_data(run.replace(data=source, tasks=tasks)).train.streams[""]
            for tasks in ((ROW, COLUMN), (ROW, COLUMN.replace(name=name)))
        )
        assert plain.pool is named.pool is None
        np.testing.assert_array_equal(plain.labelled.index, named.labelled.index)
        np.testing.assert_array_equal(plain.labels["column"], named.labels[name])
        stream = load_run_data(run.replace(data=source, tasks=(ROW,))).train.streams[""]
        assert stream.labels.keys() == {"row"} and stream.pool is None


def test_a_column_called_pool_is_a_label(tmp_path):
    file = tmp_path / "houses.csv"
    rows = [f"{i},{i * i % 7},{i % 2},{i % 3}" for i in range(60)]
    file.write_text("\n".join(["size,rooms,pool,row", *rows]) + "\n", encoding="utf-8")
    table = data.Table(str(file), labels=("pool", "row"))
    run = RUN.replace(
        data=table,
        tasks=(ROW, COLUMN.replace(name="pool", num_outputs=2)),
        labels={"num_labelled": 12},
    )
    stream = load_run_data(run).train.streams[""]
    assert stream.pool is None and set(np.unique(stream.labels["pool"])) == {0, 1}
    for index in stream.labelled.index:
        np.testing.assert_array_equal(np.bincount(stream.labels["pool"][index]), [6, 6])


@pytest.mark.parametrize("name", ["inputs", "a/b", "/relation"])
def test_a_name_that_means_something_else_is_refused_where_the_task_is_made(name):
    with pytest.raises(BadInput, match=f'Task.name must not be empty, "inputs" .*not {name!r}'):
        ROW.replace(name=name)


ALONE = data.Arrays(*({"inputs": p["inputs"], "row": p["row"]} for p in
                      (part(20, 0), part(9, 1), part(9, 2))))  # fmt: skip
OTHER = data.Arrays(*({"inputs": p["inputs"], "row": p["row"]} for p in
                      (part(30, 3), part(9, 4), part(9, 5))))  # fmt: skip
DOMAINS = data.Domains((ALONE,), OTHER)


@dataclasses.dataclass(frozen=True)
class Known(data.FixedLabels):
    """Hides no label, and so reads no file."""

    def load(self):
        return self.source.load()


@pytest.mark.parametrize(
    "source",
    [
        DOMAINS,
        data.Resized(DOMAINS, (5, 5)),
        Known(DOMAINS, "row", "none"),
        MultiInput((Input("row", DOMAINS, "row"),)),
        MultiInput((Input("row", data.Resized(DOMAINS, (5, 5)), "row"),)),
    ],
    ids=["Domains", "Resized", "FromSplit", "MultiInput", "both"],
)
def test_the_targets_images_alone_come_unlabelled_through_every_source(source):
    run = RUN.replace(data=source, tasks=(ROW,), labels={"num_labelled": None})
    (stream,) = load_run_data(run).train.streams.values()
    np.testing.assert_array_equal(stream.pool, np.arange(20, 50))
    (told,) = abstract_data(run).streams.values()
    assert (told.pool.shape, told.pool.dtype) == ((30,), np.int32)


def test_an_input_without_a_pool_lies_beside_one_that_has():
    both = MultiInput((Input("row", DOMAINS, "row"), Input("column", DATA, "column")))
    streams = load_run_data(RUN.replace(data=both, labels={"num_labelled": None})).train.streams
    assert streams["column"].pool is None and streams["row"].pool[0] == 20


class Pooled(DataSource):
    """The small data with a pool of some places."""

    def __init__(self, *places):
        self.places = places

    def shapes(self):
        return DATA.shapes()

    def load(self):
        return DATA.load()

    def pools(self):
        return {"": np.array(self.places, np.int32)}


@pytest.mark.parametrize("pool", [[], [3, 96], [-1]], ids=str)
def test_a_pool_of_other_places_is_named(pool):
    with pytest.raises(BadInput, match=r"Run\.data must have pools of places from 0 to 95"):
        load_run_data(RUN.replace(data=Pooled(*pool)))


@pytest.mark.parametrize(("count", "out"), [(2, 1), (6, 1), (10, 1), (16, 2), (40, 4)])
def test_a_share_is_held_out_and_one_at_least(count, out):
    run = RUN.replace(balance=aggregation.AutoLambda(held_out=0.1))
    assert num_held_out(run, count) == out and num_held_out(RUN, count) == 0


@pytest.mark.parametrize("place", [0, 95])
def test_a_pool_may_be_of_one_image(place):
    found = load_run_data(RUN.replace(data=Pooled(place))).train.streams[""].pool
    np.testing.assert_array_equal(found, [place])


@pytest.mark.parametrize("axis", [1, 3, 4])
def test_channels_first_are_refused_of_every_source(axis):
    image = np.zeros((9, axis, 8, 7), np.float32)
    one = {"inputs": image, "row": np.arange(9) % 3}

    class Own(DataSource):
        def shapes(self):
            return one

        def load(self):
            return Splits(one, one, one)

    for told in (load_run_data, abstract_data):
        with pytest.raises(BadInput, match=r"run 'hard': inputs in the train data .*transpose\("):
            told(RUN.replace(data=Own(), tasks=(ROW,)))
