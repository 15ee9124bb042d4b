"""Labelled sets: what is written is what a run draws, and what is read knows those labels only."""

import json

import numpy as np
import pytest

from mtl_jax.core.data_source import DataSource
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, FixedLabels, read_splits, write_splits
from mtl_jax.storage.run_data import load_run_data
from tests.data.shapes import check_shapes
from tests.small import ROW, RUN

ONE = RUN.replace(tasks=(ROW,), labels={"num_labelled": 9}, num_seeds=2, first_seed=3)
TRAIN = {
    "inputs": np.zeros((6, 1, 1, 1), np.uint8),
    "kind": np.array([0, 1, -1, 1, 0, 1], np.int32),
}


class OnlyLoads:
    """No source: of what shape its data are is not said."""

    def load(self):
        return ONE.data.load()


class Telling(OnlyLoads, DataSource):
    """A source that says what makes its tokens."""

    def text_tokenizer(self):
        return str.split

    def shapes(self):
        return ONE.data.shapes()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "splits.json"
    write_splits(ONE.data, "row", 9, (3, 4), path)
    return path


def known_of(run):
    return np.asarray(load_run_data(run).train.streams[""].labelled.index)


def test_a_file_has_what_the_run_draws(file):
    sets = read_splits(file, ONE.data.load().train, "row")
    drawn = known_of(ONE)
    assert sets.keys() == {3, 4} and (drawn[0] != drawn[1]).any()
    for place, seed in enumerate((3, 4)):
        np.testing.assert_array_equal(sets[seed], drawn[place])
        assert sets[seed].dtype == np.int32


def test_another_program_can_read_it(file):
    content = json.loads(file.read_text())
    assert content["task"] == "row" and content["examples"] == 96
    drawn = content["splits"]["3"]
    assert np.bincount(drawn["class"]).tolist() == [3, 3, 3]
    np.testing.assert_array_equal(ONE.data.load().train["row"][drawn["index"]], drawn["class"])


def test_a_run_on_a_set_has_its_labels_and_all_images(file):
    source = FixedLabels(ONE.data, "row", str(file), seed=4)
    check_shapes(source)
    train, validation, test = source.load()
    assert (train["row"] >= 0).sum() == 9 and len(train["inputs"]) == 96
    np.testing.assert_array_equal(train["column"], ONE.data.load().train["column"])
    np.testing.assert_array_equal(validation["row"], ONE.data.load().validation["row"])
    assert (test["row"] >= 0).all() and (ONE.data.load().train["row"] >= 0).all()
    # Whatever the run's own seed is.
    for first in (0, 7):
        run = ONE.replace(data=source, num_seeds=1, first_seed=first)
        np.testing.assert_array_equal(known_of(run)[0], known_of(ONE)[1])


def test_folds_of_stl10_are_lines_of_places(tmp_path):
    path = tmp_path / "fold_indices.txt"
    path.write_text("5 0 1\n3 4 \n")
    sets = read_splits(path, TRAIN, "kind")
    assert {seed: index.tolist() for seed, index in sets.items()} == {0: [0, 1, 5], 1: [3, 4]}
    source = FixedLabels(Arrays(TRAIN, TRAIN, TRAIN), "kind", str(path), seed=1)
    np.testing.assert_array_equal(source.load().train["kind"], [-1, -1, -1, 1, 0, -1])
    with pytest.raises(BadInput, match=r"fold_indices.txt has no set 2"):
        FixedLabels(Arrays(TRAIN, TRAIN, TRAIN), "kind", str(path), seed=2).load()


def test_a_set_may_be_of_one_example_and_the_first_is_the_default(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("4\n3\n")
    assert [index.tolist() for index in read_splits(path, TRAIN, "kind").values()] == [[4], [3]]
    source = FixedLabels(Arrays(TRAIN, TRAIN, TRAIN), "kind", str(path))
    np.testing.assert_array_equal(source.load().train["kind"], [-1, -1, -1, -1, 0, -1])


def test_only_txt_is_of_lines(file):
    other = file.rename(file.with_suffix(".v2"))  # In the alphabet behind ".txt".
    assert read_splits(other, ONE.data.load().train, "row").keys() == {3, 4}


def test_another_order_of_examples_is_noticed(file):
    train = ONE.data.load().train
    turned = {name: values[::-1] for name, values in train.items()}
    with pytest.raises(BadInput, match=r"splits.json cannot be read .*set 3 has other classes"):
        read_splits(file, turned, "row")
    fewer = {name: values[:95] for name, values in train.items()}
    with pytest.raises(BadInput, match=r"it is of 96 examples, these are 95"):
        read_splits(file, fewer, "row")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "0 6\n", "a.txt, set 0, must be different indices below 6"),
        ("a.txt", "0 -1\n", "set 0, must be different indices"),
        ("a.txt", "0 2\n", "with a label of 'kind'"),
        ("a.txt", "0 0\n", "set 0, must be different indices"),
        ("a.txt", "0 one\n", "a.txt cannot be read as labelled sets"),
        ("a.txt", "0 99999999999\n", "a.txt cannot be read as labelled sets"),
        (
            "a.json",
            '{"examples": 6, "splits": {"0": {"index": [0.9], "class": [0]}}}',
            "not integers",
        ),
        ("a.json", '{"examples": 6, "splits": {"0": {}, "0": {}}}', "'0' occurs twice"),
        ("a.json", "[]", "a.json cannot be read as labelled sets"),
        ("a.json", '{"examples": 6, "splits": {"0": [1]}}', "cannot be read as labelled sets"),
        ("a.json", '{"examples": 6, "splits": {"0": {"index": [9], "class": [1]}}}', "set 0, must"),
        ("b.json", None, "b.json cannot be read: .*No such file"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, text, said):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=said):
        read_splits(tmp_path / name, TRAIN, "kind")


def test_bad_settings_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"splits.task must name classes of the data \(.*'row'"):
        write_splits(ONE.data, "height", 9, (0,), tmp_path / "a.json")
    with pytest.raises(BadInput, match=r"FixedLabels.source must be a source of data"):
        FixedLabels(None, "row", "a")
    with pytest.raises(BadInput, match=r"FixedLabels.path must be a string"):
        FixedLabels(ONE.data, "row", "")
    with pytest.raises(BadInput, match=r"FixedLabels.seed must be at least 0"):
        FixedLabels(ONE.data, "row", "a", -1)
    with pytest.raises(BadInput, match=r"FixedLabels.source must be a source of data"):
        FixedLabels(OnlyLoads(), "row", "a")
    several = {**TRAIN, "kind": TRAIN["kind"][:, None]}
    with pytest.raises(BadInput, match=r"splits.task must name classes of the data"):
        read_splits(tmp_path / "a.json", several, "kind")


def test_what_the_source_tells_of_itself_is_told_on():
    tokenizer = FixedLabels(Telling(), "row", "a").text_tokenizer()
    assert tokenizer is Telling().text_tokenizer() is str.split
    assert FixedLabels(ONE.data, "row", "a").text_tokenizer() is None
