"""Table: features and labels by hand, parts that are given or drawn, and what is refused."""

import csv

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data import Table
from mtl_jax.data.files import table
from tests.data.shapes import check_shapes

HEADER = ("id", "width", "kind", "y", "price", "still")
TRAIN = [(7, 1.0, "b", "dog", 2.5, 0.1), (8, 3.0, "a", "cat", "", 0.1), (9, 5.0, "a", "", 4, 0.1)]
VALIDATION = [(10, 3.0, "c", "cat", "?", 0.3)]
TEST = [(11, 7.0, "b", "eel", "nan", 0.1), (12, 3.0, "", "?", -1, 0.1)]
SETTINGS = {"numbers": ("price",), "categories": ("kind",), "skip": ("id",), "fill": "mean"}


def write(file, rows, header=HEADER, delimiter=","):
    with file.open("w", newline="") as lines:
        csv.writer(lines, delimiter=delimiter).writerows([header, *rows])
    return str(file)


@pytest.fixture
def folder(tmp_path):
    for name, rows in (("train", TRAIN), ("val", VALIDATION), ("test", TEST)):
        write(tmp_path / f"{name}.csv", rows)
    return tmp_path


@pytest.fixture
def many(tmp_path):
    """A file of 40 rows, of each the class `y` and its number `x`."""
    rows = [(i, "ab"[i % 2], i / 2) for i in range(40)]
    return write(tmp_path / "many.tsv", rows, ("x", "y", "z"), "\t")


def test_features_and_labels_by_hand(folder):
    source = Table(str(folder), **SETTINGS)
    check_shapes(source)
    train, validation, test = source.load()
    unit = np.sqrt(8 / 3)  # by hand: of 1, 3, 5
    third = 2 / 3  # by hand: of the rows that train, two of three are "a"
    np.testing.assert_allclose(
        train["inputs"],
        [[-2 / unit, 0, 1, 0, 0], [0, 1, 0, 0, 0], [2 / unit, 1, 0, 0, 0]],
        rtol=1e-6,
    )
    np.testing.assert_allclose(validation["inputs"], [[0, 0, 0, 1, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(
        test["inputs"], [[4 / unit, 0, 1, 0, 0], [0, third, 1 - third, 0, 0]], rtol=1e-6
    )
    assert [part["y"].tolist() for part in (train, validation, test)] == [[1, 0, -1], [0], [2, -1]]
    np.testing.assert_array_equal(train["price"], [2.5, np.nan, 4.0])
    np.testing.assert_array_equal(test["price"], [np.nan, -1.0])
    assert source.classes() == {"y": ("cat", "dog", "eel")}
    kinds = {name: array.dtype for name, array in test.items()}
    assert kinds == {"inputs": np.float32, "y": np.int32, "price": np.float32}


def test_as_the_numbers_are(folder):
    source = Table(str(folder), **SETTINGS, standardize=False)
    np.testing.assert_allclose(source.load().train["inputs"][:, 0], [1, 3, 5])
    np.testing.assert_allclose(source.load().validation["inputs"][0, 4], 0.3, rtol=1e-6)


def test_a_gap_is_filled_by_the_mean_of_train(tmp_path):
    # The mean of three times 0.1 is not 0.1 in floats; the column is constant none the less.
    rows = [(2, 0.1, 0), (4, 0.1, 1), ("", 0.1, 0), (9, "?", 1)]
    write(tmp_path / "train.csv", rows, ("a", "b", "y"))
    write(tmp_path / "dev.csv", [(4, "", 0)], ("a", "b", "y"))
    write(tmp_path / "test.csv", [("NaN", "", 0)], ("a", "b", "y"))
    with pytest.warns(DataWarning, match="1 of 1 rows of test have the features of a row of train"):
        train, _, test = Table(str(tmp_path), fill="mean").load()
    mean, unit = 5.0, np.sqrt((9 + 1 + 0 + 16) / 4)  # by hand: of 2, 4, 5, 9
    wanted = (np.array([2, 4, 5, 9]) - mean) / unit
    np.testing.assert_allclose(train["inputs"][:, 0], wanted, rtol=1e-6)
    np.testing.assert_array_equal(train["inputs"][:, 1], 0.0)
    np.testing.assert_array_equal(test["inputs"], 0.0)


def test_parts_are_stratified_disjoint_and_seeded(many):
    source = Table(many, skip=("z",), standardize=False, validation=0.2, test=0.1)
    check_shapes(source)
    one, same = source.load(), source.load()
    assert [np.bincount(part["y"]).tolist() for part in one] == [[14, 14], [4, 4], [2, 2]]
    seen = [int(x) for part in one for x in part["inputs"][:, 0]]
    assert sorted(seen) == list(range(40))
    for part in one:
        np.testing.assert_array_equal(part["inputs"][:, 0].astype(int) % 2, part["y"])
    np.testing.assert_array_equal(one.test["inputs"], same.test["inputs"])
    other = Table(many, skip=("z",), standardize=False, validation=0.2, test=0.1, seed=1).load()
    assert not np.array_equal(one.test["inputs"], other.test["inputs"])


def test_standardised_over_what_trains_alone(many):
    one = Table(many, labels=(), numbers=("z",), categories=("y",)).load()
    image = one.train["inputs"]
    assert image.shape == (32, 3)
    np.testing.assert_allclose([image[:, 0].mean(), image[:, 0].std()], [0, 1], atol=1e-6)
    numbers = 2 * one.train["z"]
    wanted = (2 * one.test["z"] - numbers.mean()) / numbers.std()
    np.testing.assert_allclose(one.test["inputs"][:, 0], wanted, rtol=1e-5)


def test_very_small_numbers_are_standardised_too_and_very_far_ones_refused(tmp_path):
    rows = [(f"{1 + at % 2}e-200", at % 2) for at in range(40)]
    path = write(tmp_path / "small.csv", rows, ("p", "y"))
    with pytest.warns(DataWarning, match="4 of 4 rows of test have the features of a row of train"):
        image = Table(str(path)).load().train["inputs"]
    np.testing.assert_allclose(np.unique(image), [-1, 1], atol=0.3)
    parts = (("train", rows), ("validation", [("1e30", 0)]), ("test", rows[::-1]))
    for name, own in parts:
        write(tmp_path / f"{name}.csv", own, ("p", "y"))
    (tmp_path / "small.csv").unlink()
    with pytest.raises(BadInput, match="column 'p' must lie nearer to the training part"):
        Table(str(tmp_path)).load()


def test_shapes_are_read_once_until_the_file_changes(many, monkeypatch):
    source = Table(many)
    told = source.shapes()
    with monkeypatch.context() as patch:
        patch.setattr(table, "read_columns", None)
        assert source.shapes() == told
    write(table.files_of(source, (".tsv",))[0], [(i, "a") for i in range(20)], ("x", "y"), "\t")
    assert source.shapes()["inputs"].shape == (16, 1)


def test_columns_come_in_any_order(folder):
    one = Table(str(folder), **SETTINGS).load()
    write(folder / "test.csv", [row[::-1] for row in TEST], HEADER[::-1])
    np.testing.assert_array_equal(
        Table(str(folder), **SETTINGS).load().test["inputs"], one.test["inputs"]
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fill": None}, r"test\.csv, line 3: column 'kind' must have a value, .*fill=\"mean\""),
        (
            {"categories": ()},
            r"train\.csv, line 2: column 'kind' must hold .*, not 'b'; name it in",
        ),
        (
            {"labels": ("Y",)},
            r"Table\.labels must name columns of .*train\.csv \(there is .*\), not",
        ),
        (
            {"numbers": ("prize",)},
            r"Table\.numbers must name columns .*mean price\?\), not 'prize'",
        ),
        ({"skip": ("id", "idd")}, r"Table\.skip must name columns .*mean id or .*, not 'idd'"),
        (
            {"numbers": ("kind",), "categories": ()},
            r"column 'kind' must hold finite numbers, not 'b'",
        ),
        (
            {"labels": ("width", "still")},
            r"line 2: column 'still' must hold names or integers",
        ),
        (
            {"skip": ("id", "width", "still"), "labels": ("y", "kind"), "categories": ()},
            r"Table\.path must have columns beside \['id', .*, 'y'\]",
        ),
    ],
)
def test_columns_that_do_not_fit_are_named(folder, changes, text):
    source = Table(str(folder), **(SETTINGS | changes))
    for read in (source.load, source.shapes):
        with pytest.raises(BadInput, match=text):
            read()


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (
            ("id", "width", "kind", "z", "price", "still"),
            r"must not have column 'z', .*, or skip it",
        ),
        (("id", "wide", "kind", "y", "price", "still"), r"test\.csv must not have column 'wide'"),
        (("id", "id2", "kind", "y", "price", "still"), r"test\.csv must .*have column"),
    ],
)
def test_parts_that_differ_are_named(folder, header, text):
    write(folder / "test.csv", TEST, header)
    with pytest.raises(BadInput, match=text):
        Table(str(folder), **SETTINGS).load()


def test_a_label_that_one_part_lacks_is_named(folder):
    write(folder / "test.csv", [(*row[:3], *row[4:]) for row in TEST], (*HEADER[:3], *HEADER[4:]))
    with pytest.raises(BadInput, match=r"Table\.labels must name columns of .*test\.csv"):
        Table(str(folder), **SETTINGS).load()


def test_a_feature_without_a_value_in_train_is_named(folder):
    write(folder / "train.csv", [(*row[:5], "") for row in TRAIN])
    with pytest.raises(BadInput, match=r"column 'still' must have a value in train"):
        Table(str(folder), **SETTINGS).load()


def test_a_column_without_a_name_is_left_out_by_hand(tmp_path):
    path = write(tmp_path / "a.csv", [(i, i, i % 2) for i in range(20)], ("", "x", "y"))
    with pytest.raises(BadInput, match=r'leave this one out by skip=\(""'):
        Table(path).load()
    assert Table(path, skip=("",)).shapes()["inputs"].shape == (16, 1)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"Table\.path must be a file or a folder, not '.*nowhere'"):
        Table(str(tmp_path / "nowhere")).shapes()
    rule = r"must have one file for train, named train with \.csv or \.tsv, not \[\]"
    with pytest.raises(BadInput, match=rule):
        Table(str(tmp_path)).load()
    few = write(tmp_path / "train.csv", [(1, 0), (2, 1)], ("x", "y"))
    with pytest.raises(BadInput, match=r"one file for validation, named validation or val or dev"):
        Table(str(tmp_path)).load()
    with pytest.raises(BadInput, match=r"Table\.path must have rows for validation"):
        Table(few).load()
    write(tmp_path / "train.tsv", [(1, 0)], ("x", "y"), "\t")
    with pytest.raises(BadInput, match=r"one file for train.*\['train\.csv', 'train\.tsv'\]"):
        Table(str(tmp_path)).load()
    (tmp_path / "a.xlsx").write_text("")
    with pytest.raises(BadInput, match=r"Table\.path must end in \.csv or \.tsv"):
        Table(str(tmp_path / "a.xlsx")).load()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"labels": ()}, r"Table\.labels and numbers must name a label, not \(\)"),
        ({"labels": ("inputs",)}, r"Table\.labels must not have such a name, not 'inputs'"),
        ({"numbers": ("y",)}, r"Table\.numbers must not name a column again, not 'y'"),
        ({"skip": ("a", "a")}, r"Table\.skip must not name a column again, not 'a'"),
        ({"validation": 0.6, "test": 0.5}, r"Table\.validation must be positive and leave"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        Table(**({"path": "x.csv"} | settings))
